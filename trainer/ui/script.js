/* What HTML alone cannot do: playing clips, ticking clocks, speaking changes, and explaining the microphone. */
(() => {
  if (window.voicetune) return;
  window.voicetune = true;
  const byId = (id) => document.getElementById(id);

  /* Clips: a button names its sound; one plays at a time. */
  let playing = null;
  const halt = () => {
    if (!playing) return;
    playing.sound.pause();
    playing.sound.currentTime = 0;
    playing.button.classList.remove("playing");
    playing = null;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.play");
    if (!button) return;
    const again = playing?.button === button;
    halt();
    const sound = byId(button.dataset.sound);
    if (again || !sound) return;
    playing = { button, sound };
    button.classList.add("playing");
    sound.onended = halt;
    sound.play().catch(halt);
  });

  /* Copy: the clipboard API is missing on pages without HTTPS, where selecting and the old command still work. */
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy]");
    const source = button && byId(button.dataset.copy);
    if (!source) return;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    const name = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = name), 1500);
  });

  /* Clocks: the server says the seconds once; they run on from when they appeared, so that the two computers'
     clocks need not agree. */
  const seen = new WeakMap();
  const two = (n) => String(n).padStart(2, "0");
  const clock = (s) => {
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  };
  setInterval(() => {
    for (const span of document.querySelectorAll("[data-elapsed],[data-left]")) {
      const up = span.dataset.elapsed !== undefined;
      const said = up ? span.dataset.elapsed : span.dataset.left;
      let start = seen.get(span);
      if (!start || start.said !== said) seen.set(span, (start = { said, at: performance.now() }));
      const passed = (performance.now() - start.at) / 1000;
      const text = clock(Math.max(0, Math.floor(Number(said) + (up ? passed : -passed))));
      if (span.textContent !== text) span.textContent = text;
    }
  }, 500);

  /* Screen readers: only a change of phase is spoken, not every figure. */
  const live = document.createElement("div");
  live.className = "only-spoken";
  live.setAttribute("role", "status");
  live.setAttribute("aria-live", "polite");
  document.body.append(live);
  let said = null;
  new MutationObserver(() => {
    const words = document.querySelector("#status [data-say]")?.dataset.say ?? "";
    if (words !== said) {
      if (said !== null) live.textContent = words;
      said = words;
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-say"] });

  /* The microphone: why it cannot be used, in words, beside it. */
  const explain = (words) => {
    const note = byId("microphone-note");
    if (!note) return;
    let line = note.querySelector(".microphone-words");
    if (!line) {
      line = document.createElement("p");
      line.className = "message problem microphone-words";
      line.setAttribute("role", "status");
      note.append(line);
    }
    line.textContent = words;
    line.hidden = !words;
  };
  const reasons = {
    NotAllowedError: "The browser does not let this page use the microphone. Allow it beside the address, then press Record again.",
    NotFoundError: "I cannot find a microphone. Plug one in, or upload a recording instead.",
    NotReadableError: "The microphone is in use by another program. Close that one, then press Record again.",
  };
  const devices = navigator.mediaDevices;
  const ready = () => {
    if (!byId("microphone-note")) return setTimeout(ready, 300);
    if (!devices?.getUserMedia) {
      explain(
        window.isSecureContext
          ? "This browser cannot record sound. Try another one, or upload a recording."
          : "Browsers allow the microphone only on secure pages. Open this page with https, or on localhost; uploading a recording works here too."
      );
      return;
    }
    navigator.permissions?.query({ name: "microphone" }).then((permission) => {
      const denied = () => permission.state === "denied";
      permission.onchange = () => explain(denied() ? reasons.NotAllowedError : "");
      if (denied()) explain(reasons.NotAllowedError); // else what an attempt has said meanwhile stays
    }).catch(() => {});
  };
  if (devices?.getUserMedia) {
    const ask = devices.getUserMedia.bind(devices);
    devices.getUserMedia = (wish) =>
      ask(wish).then(
        (stream) => (explain(""), stream),
        (error) => {
          explain(reasons[error.name] ?? "The microphone did not answer. Is it plugged in and switched on?");
          throw error;
        }
      );
  }
  ready();

  /* "Talk to your model" leads to the Transcribe tab and begins to record there. The recorder is mounted once its tab
     is shown, which takes a moment. If it does not come, or the person does something meanwhile, it is left to them. */
  const SECONDS_TO_WAIT = 3;
  document.addEventListener("voicetune-record", () => {
    if (!devices?.getUserMedia) return; // `ready` has said why
    const until = performance.now() + 1000 * SECONDS_TO_WAIT;
    let theirs = false;
    const leave = (event) => (theirs ||= event.isTrusted);
    const watched = ["pointerdown", "keydown"];
    watched.forEach((kind) => document.addEventListener(kind, leave, true));
    const look = () => {
      const button = document.querySelector("#microphone .record-button");
      const there = button && !button.disabled && button.checkVisibility({ visibilityProperty: true });
      if (!there && !theirs && performance.now() < until) return setTimeout(look, 50);
      watched.forEach((kind) => document.removeEventListener(kind, leave, true));
      if (!there || theirs) return;
      button.scrollIntoView({ block: "center" });
      button.focus({ preventScroll: true }); // so that the next Tab leads to Stop
      button.click();
    };
    look();
  });

  /* A file that the server would refuse is explained before it travels; Gradio's own words are "File(s) exceed". */
  const refuse = (event, files) => {
    if (!event.target.closest?.("#microphone")) return;
    const most = Number(document.querySelector("[data-most-bytes]")?.dataset.mostBytes);
    const large = [...(files ?? [])].find((file) => file.size > most);
    if (!large) return explain("");
    event.stopPropagation();
    event.preventDefault();
    const mega = (bytes) => Math.round(bytes / 2 ** 20);
    explain(`That file has ${mega(large.size)} MB, and I take at most ${mega(most)}. Cut it, or save it as MP3.`);
  };
  document.addEventListener("change", (event) => event.target.type === "file" && refuse(event, event.target.files), true);
  document.addEventListener("drop", (event) => refuse(event, event.dataTransfer?.files), true);
})();
