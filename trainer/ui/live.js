/* Live captions: what the microphone hears goes to the server in chunks while it is open, one at a time, and the words
   that come back stand below it. The recording itself goes its usual way; without these captions nothing is missing. */
(() => {
  const voicetune = window.voicetune;
  if (voicetune.live) return;
  const byId = (id) => document.getElementById(id);
  const devices = navigator.mediaDevices;
  const RATE = 16000; // what the models hear; a browser that cannot give it gives its own
  const SECONDS_A_CHUNK = 0.25;
  const MOST_SAMPLES = 40000, MOST_SECONDS = 2; // in one message: below what the server takes
  const MOST_WAITING = 20; // seconds of sound, then the connection is too slow
  const SECONDS_TO_ANSWER = 15;
  const SECONDS_FOR_MODEL = 10; // for the list of models to come, on a page that was opened just now
  const BEHIND = "The connection is too slow for that. The words come once you stop.";
  const LOST = "The connection was lost for a moment. The words come once you stop.";
  const UNABLE = "This browser cannot show words while you speak. They come once you stop.";
  const STOPPED = "That is what I heard while you spoke. All of it is written down once more, below.";

  /* What is shown */
  const spoken = document.createElement("div"); // settled words, for screen readers
  spoken.className = "only-spoken";
  spoken.setAttribute("role", "log");
  spoken.setAttribute("aria-live", "polite");
  document.body.append(spoken);
  const place = () => document.querySelector("#live .live-captions");
  const put = (id, text) => {
    const part = byId(id);
    if (part && part.textContent !== text) part.textContent = text;
  };
  const clear = () => {
    put("live-settled", "");
    put("live-unsettled", "");
    put("live-note", "");
    spoken.textContent = "";
    place()?.classList.remove("done");
  };
  const settle = (text) => {
    if (!text) return;
    byId("live-settled")?.append(text);
    const line = document.createElement("p");
    line.textContent = text;
    spoken.append(line);
  };

  /* The microphone that is open: none, or one */
  let open = null;
  let toSend = null; // for the event that is pressed
  const shown = (kind) => [...document.querySelectorAll(`#microphone .${kind}`)].some((button) => button.checkVisibility());
  const encoded = (samples) => {
    const bytes = new Uint8Array(2 * samples.length), view = new DataView(bytes.buffer);
    samples.forEach((value, i) => view.setInt16(2 * i, Math.max(-1, Math.min(1, value)) * 32767, true));
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  };
  const press = (message) => {
    toSend = message;
    byId("live-send")?.click();
  };
  const taken = (most) => {
    const chunk = new Float32Array(Math.min(most, open.waiting));
    let filled = 0;
    while (filled < chunk.length) {
      const [first, ...rest] = open.blocks;
      const part = first.subarray(0, chunk.length - filled);
      chunk.set(part, filled);
      filled += part.length;
      open.blocks = part.length < first.length ? [first.subarray(part.length), ...rest] : rest;
    }
    open.waiting -= filled;
    return chunk;
  };
  const chosen = () => document.querySelector('#transcribe input[aria-label="Model"]')?.value !== "";
  const send = () => {
    if (!open || open.over || open.asked || open.waiting < SECONDS_A_CHUNK * open.rate) return;
    if (!open.number && !chosen() && performance.now() - open.began < 1000 * SECONDS_FOR_MODEL) return;
    open.asked = performance.now();
    press({ stream: open.name, number: open.number, rate: open.rate, seen: open.seen, pcm: encoded(taken(Math.min(MOST_SAMPLES, MOST_SECONDS * open.rate))) });
  };
  const give_up = (words) => {
    if (!open || open.over) return;
    open.over = true;
    open.blocks = [];
    open.waiting = 0;
    put("live-unsettled", "");
    put("live-note", words);
  };
  const close = () => {
    if (!open) return;
    const { name, context, over, number } = open;
    clearInterval(open.timer);
    open = null;
    context?.close().catch(() => {});
    if (!over && number) press({ stream: name, end: true });
    if (!over) put("live-note", STOPPED);
    place()?.classList.add("done");
  };
  voicetune.live = {
    message: () => toSend,
    answer: (answer) => {
      if (!open || !open.asked || answer?.stream !== open.name) return;
      if (answer.number !== open.number) return give_up(LOST); // the one before: this one was not answered
      open.asked = 0;
      open.number += 1;
      open.seen = answer.seen;
      settle(answer.settled);
      put("live-unsettled", answer.unsettled);
      put("live-note", answer.note);
      const words = document.querySelector("#live .live-words");
      if (words) words.scrollTop = words.scrollHeight; // the newest are read
      if (answer.state === "over") give_up(answer.note);
      else send();
    },
  };

  /* Sound comes from the recorder's own microphone, from when it begins to record until it is stopped. */
  const hear = (block) => {
    const paused = shown("stop-button-paused") || shown("resume-button");
    if (!open.began && !shown("stop-button")) return;
    if (!open.began) {
      open.began = performance.now();
      clear();
      if (place()) place().hidden = false;
    }
    if (open.over || paused) return;
    open.blocks.push(block);
    open.waiting += block.length;
    if (open.waiting > MOST_WAITING * open.rate) return give_up(BEHIND);
    send();
  };
  const look = () => {
    if (open.asked && performance.now() - open.asked > 1000 * SECONDS_TO_ANSWER) give_up(LOST);
    const recording = shown("stop-button") || shown("stop-button-paused") || shown("resume-button");
    if (!open.stream.active || (open.began && !recording)) close();
  };
  const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
    constructor() { super(); this.block = new Float32Array(2048); this.filled = 0; }
    process([[samples]]) {
      for (const sample of samples ?? []) {
        this.block[this.filled++] = sample;
        if (this.filled === this.block.length) { this.port.postMessage(this.block.slice()); this.filled = 0; }
      }
      return true;
    }
  });`;
  const listen = async (stream) => {
    close();
    const name = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const mine = (open = { name, stream, number: 0, seen: 0, rate: RATE, blocks: [], waiting: 0, asked: 0, began: 0, over: false });
    mine.timer = setInterval(look, 100);
    let source;
    try {
      mine.context = new AudioContext({ sampleRate: RATE });
      source = mine.context.createMediaStreamSource(stream);
    } catch {
      mine.context = new AudioContext(); // some browsers take a microphone only at its own rate
      source = mine.context.createMediaStreamSource(stream);
    }
    mine.rate = mine.context.sampleRate;
    const address = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
    await mine.context.audioWorklet.addModule(address);
    URL.revokeObjectURL(address);
    const tap = new AudioWorkletNode(mine.context, "tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    tap.port.onmessage = ({ data }) => open === mine && hear(data);
    source.connect(tap);
    await mine.context.resume();
  };
  if (devices?.getUserMedia) {
    const ask = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wish) => {
      const stream = await ask(wish);
      if (wish?.audio && document.querySelector("#live-switch input")?.checked)
        listen(stream).catch(() => {
          if (place()) place().hidden = false;
          clear();
          give_up(UNABLE);
        });
      return stream;
    };
  }

  /* What was heard makes way for what is written down of the whole recording. */
  new MutationObserver(() => {
    const words = place(), result = byId("result");
    if (!words || words.hidden || open || !words.classList.contains("done")) return;
    if (result?.querySelector("#transcript, .transcript-details, .message")) words.hidden = true;
  }).observe(document.body, { subtree: true, childList: true });
})();
