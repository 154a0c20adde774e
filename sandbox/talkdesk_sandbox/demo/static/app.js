"use strict";
// The page works without this: it adds the live clock, the feed, and leads through the tour step by step.

function ended() {
  const note = document.createElement("p");
  note.className = "note ended";
  note.setAttribute("role", "alert");
  const again = document.createElement("a");
  again.href = location.href;
  again.textContent = "Load it again";
  note.append("You are no longer signed in here, and this page has stopped. ", again, " to go on.");
  document.querySelector("main").prepend(note);
}

const clock = document.getElementById("clock");
if (clock) {
  let pause = 1000;
  const listen = () => {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/clock`);
    socket.onopen = () => { pause = 1000; };
    socket.onmessage = ({ data }) => {
      const { now } = JSON.parse(data);
      if (now) clock.textContent = new Date(now).toLocaleTimeString("en-GB");
    };
    socket.onclose = ({ code }) => {
      clock.textContent = code === 1008 ? "ended" : "waits";
      if (code === 1008) { // the gateway's word: this user may not listen any longer
        ended();
      } else { // the app or the gateway was restarted, or asks to connect again
        setTimeout(listen, pause);
        pause = Math.min(2 * pause, 60000);
      }
    };
  };
  listen();
}

const events = document.getElementById("events");
if (events) {
  new EventSource(events.dataset.url).onmessage = ({ data }) => {
    const { number, now } = JSON.parse(data);
    const line = document.createElement("li");
    line.textContent = `${new Date(now).toLocaleTimeString("en-GB")}  heartbeat ${number}`;
    events.prepend(line);
    while (events.children.length > 5) events.lastChild.remove();
  };
}

const tour = document.getElementById("tour");
if (tour) {
  const slides = [...tour.querySelectorAll(".slide")];
  const next = tour.querySelector(".next");
  let shown = 0;
  const show = () => {
    document.querySelectorAll(".pointed").forEach((one) => one.classList.remove("pointed"));
    slides.forEach((slide, position) => slide.classList.toggle("shown", position === shown));
    const target = slides[shown].dataset.step && document.querySelector(slides[shown].dataset.step);
    if (target) target.classList.add("pointed");
    tour.querySelector("#tour-step").textContent = shown ? `Step ${shown} of ${slides.length - 1}` : "Your first visit";
    next.textContent = shown === slides.length - 1 ? "Done" : "Next";
  };
  tour.classList.add("steps");
  next.hidden = false;
  next.onclick = () => { if (++shown < slides.length) show(); else tour.close(); };
  tour.onclose = () => document.querySelectorAll(".pointed").forEach((one) => one.classList.remove("pointed"));
  show();
}
