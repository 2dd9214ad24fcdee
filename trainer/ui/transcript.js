/* The last recording and its words: playing it, going from word to word, and forgetting it. The sound is this browser's
   own copy of what it has sent: the server hands out no recording. */
(() => {
  if (window.voicetune.transcript) return;
  window.voicetune.transcript = true;
  const byId = (id) => document.getElementById(id);
  const player = () => document.querySelector("#last-sound audio");
  const tell = (kept, playable) => {
    byId("transcribe")?.classList.toggle("has-recording", kept);
    byId("transcribe")?.classList.toggle("playable", playable);
  };
  let address = null; // of the sound, while there is one
  let due = null;

  /* Buttons within HTML press Gradio's. */
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-press]");
    if (!button) return;
    if (button.dataset.press === "forget") forget();
    byId(button.dataset.press)?.click();
  });

  /* The recording: kept from when it is sent until it is forgotten, on a Space for as long as the server does. */
  const forget = () => {
    if (!address) return;
    clearTimeout(due);
    const audio = player();
    if (audio) {
      audio.pause();
      audio.removeAttribute("src");
      audio.load();
    }
    URL.revokeObjectURL(address);
    address = null;
    tell(false, false);
  };
  const used = () => {
    clearTimeout(due);
    const seconds = Number(document.querySelector("[data-kept-seconds]")?.dataset.keptSeconds);
    if (address && seconds) due = setTimeout(forget, 1000 * seconds);
  };
  document.addEventListener("voicetune-sent", (event) => {
    if (!byId("transcribe")?.checkVisibility()) return; // another part of the page has sent it
    forget();
    const audio = player();
    if (!audio) return;
    address = URL.createObjectURL(event.detail);
    audio.src = address;
    audio.onerror = () => tell(Boolean(address), false); // the server can hear more kinds than a browser can play
    tell(true, true);
    used();
  });

  /* What is written down anew: the words that are lit belong to what stood there before. */
  const LEAST_SEEN = 120; // pixels of them, else they are brought into sight
  let words = [], times = [], lit = null;
  let shown = null;
  const live = document.createElement("div");
  live.className = "only-spoken";
  live.setAttribute("role", "status");
  document.body.append(live);
  const say = (text) => {
    if (live.textContent !== text) live.textContent = text;
  };
  const look = () => {
    const result = byId("result");
    if (!result) return;
    const text = byId("transcript");
    if (text === shown) {
      const waits = result.querySelector("[data-say]")?.dataset.say ?? "";
      if (!text) say(waits);
      return;
    }
    shown = text;
    lit = null;
    words = text ? [...text.querySelectorAll(".word")] : [];
    times = words.map((word) => word.dataset.at.split(" ").map(Number));
    say(text ? "Your words are written down." : "");
    if (text && text.getBoundingClientRect().top > innerHeight - LEAST_SEEN) text.scrollIntoView({ block: "center" });
    used();
    if (result.querySelector("[data-no-sound]")) forget();
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true });

  /* Words: one of them is in the order of the Tab key, the arrow keys lead to the others. */
  const indexAt = (seconds) => {
    let low = 0, high = times.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (times[middle][0] <= seconds) low = middle + 1;
      else high = middle - 1;
    }
    return high;
  };
  const light = (word) => {
    if (word === lit) return;
    const before = lit?.getBoundingClientRect();
    lit?.classList.remove("now");
    word?.classList.add("now");
    lit = word;
    if (!word || !before) return;
    const place = word.getBoundingClientRect();
    const seen = (box) => box.top >= 0 && box.bottom <= innerHeight;
    if (seen(before) && !seen(place)) word.scrollIntoView({ block: "center" }); // who looks elsewhere is left there
  };
  const follow = () => {
    const audio = player();
    if (!audio || audio.paused || audio.ended) return light(null);
    const index = indexAt(audio.currentTime);
    // Until the next one begins, but not through a pause.
    light(index >= 0 && audio.currentTime < times[index][1] + 0.5 ? words[index] : null);
    requestAnimationFrame(follow);
  };
  document.addEventListener("play", (event) => event.target === player() && follow(), true);
  const play = (word) => {
    const audio = player();
    if (!audio || !byId("transcribe").classList.contains("playable")) return;
    if (word === lit && !audio.paused) return audio.pause();
    audio.currentTime = Number(word.dataset.at.split(" ")[0]);
    audio.play().catch(() => {});
    used();
  };
  const reach = (word) => {
    if (!word) return;
    for (const other of words) if (other.tabIndex === 0 && other !== word) other.tabIndex = -1;
    word.tabIndex = 0;
    word.focus();
  };
  document.addEventListener("click", (event) => {
    const word = event.target.closest?.("#transcript .word");
    if (!word || getSelection().toString()) return; // who marks some text wants to copy it
    reach(word);
    play(word);
  });
  document.addEventListener("keydown", (event) => {
    const word = event.target.closest?.("#transcript .word");
    if (!word || event.ctrlKey || event.altKey || event.metaKey) return;
    const index = words.indexOf(word);
    const steps = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: words.length - 1 };
    if (event.key in steps) reach(words[steps[event.key]]);
    else if (event.key === "Enter" || event.key === " ") play(word);
    else if (event.key === "Escape") player()?.pause();
    else return;
    event.preventDefault();
  });

  /* Whether unsure words are marked. */
  document.addEventListener("change", (event) => {
    if (event.target.id === "show-unsure") byId("result")?.classList.toggle("all-alike", !event.target.checked);
  });
})();
