// A page that waits for something (data-waits) asks every two seconds for its part and shows it, until nothing waits.
"use strict";

const part = document.querySelector("[data-live]");

async function look() {
  if (!part.querySelector("[data-waits]")) {
    return;
  }
  try {
    const answer = await fetch(part.dataset.live, { credentials: "same-origin", redirect: "error" });
    if (answer.ok) {
      part.innerHTML = await answer.text();
    }
  } catch {
    // Away for a moment: the next look may find it.
  }
  setTimeout(look, 2000);
}

if (part) {
  setTimeout(look, 2000);
}
