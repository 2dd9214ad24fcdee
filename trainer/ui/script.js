/* What HTML alone cannot do: playing clips, ticking clocks, speaking changes, and explaining the microphone. */
(() => {
  if (window.voicetune) return;
  window.voicetune = { refusal: "" };
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
    const paragraphs = [...source.querySelectorAll("p")].map((paragraph) => paragraph.textContent);
    try {
      await navigator.clipboard.writeText(paragraphs.length ? paragraphs.join("\n\n") : source.textContent);
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
  const name = document.title; // with how far a training is before it, for who looks at another tab meanwhile
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
    const done = document.querySelector("#status .bar[aria-valuenow]")?.getAttribute("aria-valuenow");
    const title = done ? `${done} % · ${name}` : name;
    if (document.title !== title) document.title = title;
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
  const explain = (words) => ["microphone-note", "own-microphone-note"].forEach((id) => explainIn(byId(id), words));
  const explainIn = (note, words) => {
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
  document.addEventListener("voicetune-record", (event) => {
    const recorder = event.detail || "#microphone"; // or the one on the Fine-tune tab, for one's own clips
    if (!devices?.getUserMedia) return; // `ready` has said why
    const until = performance.now() + 1000 * SECONDS_TO_WAIT;
    let theirs = false;
    const leave = (event) => (theirs ||= event.isTrusted);
    const watched = ["pointerdown", "keydown"];
    watched.forEach((kind) => document.addEventListener(kind, leave, true));
    const look = () => {
      const button = document.querySelector(`${recorder} .record-button`);
      const there = button && !button.disabled && button.checkVisibility({ visibilityProperty: true });
      if (!there && !theirs && performance.now() < until) return setTimeout(look, 50);
      watched.forEach((kind) => document.removeEventListener(kind, leave, true));
      if (!there || theirs) return;
      button.scrollIntoView({ block: "center" });
      button.focus({ preventScroll: true }); // so that the next Tab leads to Stop
      button.click();
      if (recorder !== "#microphone") focusStop(recorder);
    };
    look();
  });

  /* One who reads aloud goes on by the keyboard alone: Stop takes the place of Record in a moment. */
  const focusStop = (recorder, tries = 25) =>
    setTimeout(() => {
      if (document.activeElement?.matches("input, textarea")) return;
      const stop = [...document.querySelectorAll(`${recorder} .stop-button`)].find((button) => button.checkVisibility());
      if (stop) stop.focus({ preventScroll: true });
      else if (tries) focusStop(recorder, tries - 1); // a slow computer shows it later
    }, 200);

  /* What is not taken is explained where the text would stand, in its place; the recorder is emptied. */
  const refuse = (words) => {
    const line = document.createElement("p");
    line.className = "message problem";
    line.setAttribute("role", "status");
    line.textContent = words;
    window.voicetune.refusal = line.outerHTML;
    const place = sendsSeveral ? "several-refuse" : byId("own-microphone")?.checkVisibility() ? "own-refuse" : "refuse";
    sendsSeveral = false;
    byId(place)?.click();
  };
  let sendsSeveral = false; // files at once: what is sent next, or refused, is one of those
  /* Gradio's recorder goes on showing a recording that did not get through, and offers no other: it is made anew. */
  const A_MOMENT = 100; // ms, in which Gradio has drawn what was asked of it
  const renewRecorder = () =>
    setTimeout(() => {
      const [file, voice] = ["Upload file", "Record audio"].map((name) => document.querySelector(`#microphone button[aria-label="${name}"]`));
      if (!file || !voice?.classList.contains("selected")) return;
      file.click();
      setTimeout(() => voice.click(), A_MOMENT);
    }, A_MOMENT);
  const stop = (event) => {
    event.stopPropagation();
    event.preventDefault();
  };

  /* A model that cannot be used now takes no recording. Whether that has changed is asked with each try. */
  const keptOut = (event) => {
    const why = document.querySelector("#model-note [data-unusable]")?.textContent;
    if (!why) return false;
    stop(event);
    refuse(why);
    byId("look-again")?.click();
    return true;
  };
  document.addEventListener("click", (event) => event.target.closest?.("#microphone .record-button") && keptOut(event), true);

  /* Uploads, of recordings too, that the server refuses or that do not arrive: Gradio is told that nothing was sent,
     since it shows an error in words of its own. */
  const plainly = window.fetch;
  /* Several files travel one by one: the server takes one at a time, and bounds each. */
  const send = async (...asked) => {
    const files = asked[1]?.body instanceof FormData ? asked[1].body.getAll("files") : [];
    if (files.length < 2) return plainly(...asked);
    const paths = [];
    for (const file of files) {
      const body = new FormData();
      body.append("files", file);
      const answer = await plainly(asked[0], { ...asked[1], body });
      if (!answer.ok) return answer;
      paths.push(...(await answer.json()));
    }
    return new Response(JSON.stringify(paths), { headers: { "content-type": "application/json" } });
  };
  window.fetch = async (...asked) => {
    if (!/\/gradio_api\/upload(\?|$)/.test(asked[0]?.url ?? String(asked[0]))) return send(...asked);
    try {
      const answer = await send(...asked);
      if (answer.ok && sendsSeveral) {
        sendsSeveral = false;
        return answer;
      }
      if (answer.ok) {
        const file = asked[1]?.body?.get?.("files");
        if (file) document.dispatchEvent(new CustomEvent("voicetune-sent", { detail: file }));
        return answer;
      }
      const ours = answer.status < 500 && answer.headers.get("content-type")?.startsWith("text/plain"); // the guard's
      refuse(ours ? await answer.text() : "Your recording could not be taken here. Try again in a minute.");
    } catch {
      refuse("Your recording did not arrive here. Check the connection, then try again.");
    }
    renewRecorder();
    return new Response("[]", { headers: { "content-type": "application/json" } });
  };

  /* Any file may be chosen: the server finds out whether there is sound in it. Gradio's own filter goes by what the
     browser calls the file, and refuses webm, mp4, mov, mkv, caf and 3gp, so each is called a sound before it sees it. */
  const inMicrophone = (event) => event.target.closest?.("#microphone");
  const called = (file) => (file.type.startsWith("audio/") ? file : new File([file], file.name, { type: "audio/any" }));
  const take = (input, files) => {
    const sounds = new DataTransfer();
    for (const file of files) sounds.items.add(called(file));
    input.files = sounds.files;
  };
  /* One that the server would refuse for its size is explained before it travels. */
  const refused = (event, files) => {
    const most = Number(document.querySelector("[data-most-bytes]")?.dataset.mostBytes);
    const large = [...files].find((file) => file.size > most);
    if (keptOut(event)) return true;
    if (!large && files.length <= MOST_FILES) return false;
    stop(event);
    const mega = (bytes) => Math.round(bytes / 2 ** 20);
    refuse(
      large
        ? `${files.length > 1 ? `“${large.name}”` : "That file"} has ${mega(large.size)} MB, and I take at most ${mega(most)}. Cut it, or save it as MP3.`
        : `Those are ${files.length} files, and I take ${MOST_FILES} at once. Choose fewer.`,
    );
    return true;
  };
  const MOST_FILES = 20;
  const severalPicker = (event) => event.target.closest?.("#several-picker");
  document.addEventListener("change", (event) => {
    if (event.target.type !== "file" || !severalPicker(event)) return;
    sendsSeveral = true;
    if (refused(event, event.target.files)) event.target.value = "";
  }, true);
  document.addEventListener("drop", (event) => {
    if (!severalPicker(event)) return;
    sendsSeveral = true;
    refused(event, event.dataTransfer?.files ?? []);
  }, true);
  const isPicker = (event) => event.target.type === "file" && inMicrophone(event);
  document.addEventListener("click", (event) => {
    if (isPicker(event) && !keptOut(event)) event.target.removeAttribute("accept");
  }, true);
  document.addEventListener("change", (event) => {
    if (!isPicker(event) || !event.isTrusted || refused(event, event.target.files)) return;
    take(event.target, event.target.files);
  }, true);
  document.addEventListener("drop", (event) => {
    const input = inMicrophone(event)?.querySelector("input[type=file]");
    const files = event.dataTransfer?.files;
    if (!input || !files?.length || refused(event, files)) return;
    event.stopPropagation();
    event.preventDefault();
    take(input, files);
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, true);
})();
