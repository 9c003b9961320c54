// A page that waits for something (data-waits) asks every two seconds for its part and shows it, until nothing waits.
// One whose figures may change at any time (data-every) then goes on asking in so many seconds, while somebody looks.
"use strict";

const part = document.querySelector("[data-live]");
let timer = 0;
let shown = "";

async function look() {
  try {
    const answer = await fetch(part.dataset.live, { credentials: "same-origin", redirect: "error" });
    const text = answer.ok ? await answer.text() : shown;
    if (text !== shown) {
      part.innerHTML = shown = text;
    }
  } catch {
    // Away for a moment: the next look may find it.
  }
  lookLater();
}

function lookLater() {
  clearTimeout(timer);
  const waits = part.querySelector("[data-waits]") !== null;
  const seconds = waits ? 2 : Number(part.dataset.every ?? 0);
  if (seconds > 0 && (waits || !document.hidden)) {
    timer = setTimeout(look, seconds * 1000);
  }
}

if (part) {
  lookLater();
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && part.dataset.every) {
      clearTimeout(timer);
      look();
    }
  });
}
