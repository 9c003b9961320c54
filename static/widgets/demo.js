// The page /demo/widgets: what a page of yours would do with the widgets.
import { useCredits, InsufficientCredits } from "./tirelire.js";

const page = document.querySelector("[data-token]");
const badges = document.querySelectorAll("tirelire-credits");
const refusal = document.querySelector("[data-refusal]");

const client = useCredits({
  stream: true,
  // Your own server gives the token of whoever is signed in there.
  token: async () => (await (await fetch(page.dataset.token)).json()).token,
});
badges.forEach((badge) => { badge.client = client; });

for (const button of document.querySelectorAll("[data-spend]")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    refusal.textContent = "";
    try {
      await client.spend({ amount: Number(button.dataset.spend), reference: "demo" });
    } catch (error) {
      if (!(error instanceof InsufficientCredits)) refusal.textContent = error.message;
    }
    button.disabled = false;
  });
}
document.querySelector("[data-offer]").addEventListener("click", () => badges[0].offer());
