// Credits in a page of yours: a client like a useCredits hook, a badge, an offer for whoever lacks credits, and a toast.
// One module without dependencies. docs/widgets.md shows how to embed it.

const HOME = new URL(import.meta.url);
const SHEET = new URL("tirelire.css", HOME).href;
const SLOWEST_SECONDS = 300; // between two looks, however often the server could not be reached
const TRIES = 3; // of one spend, all under one key: what was done once is not done again
const AGAIN = [429, 502, 503, 504];

const TEXTS = {
  en: {
    one: "credit", other: "credits", unlimited: "without limit", ok: "enough", low: "running low", empty: "used up",
    buy: "Buy credits", later: "Not now", lacking: "Not enough credits", runningLow: "Your credits are running low",
    usedUp: "Your credits are used up", need: "This needs {needed}, you have {available}: {missing} missing.",
    have: "You have {available} left.", pack: "{credits} for {price}", packs: "{count} packs, {credits} for {price}",
    offers: "See the offers", spent: "{cost} used, {available} left", came: "{credits} have arrived",
    away: "Not up to date: the server cannot be reached.", loading: "Loading",
  },
  fr: {
    one: "crédit", other: "crédits", unlimited: "sans limite", ok: "suffisants", low: "presque épuisés", empty: "épuisés",
    buy: "Acheter des crédits", later: "Pas maintenant", lacking: "Pas assez de crédits",
    runningLow: "Vos crédits s’épuisent", usedUp: "Vos crédits sont épuisés",
    need: "Il faut {needed}, vous avez {available} : il manque {missing}.", have: "Il vous reste {available}.",
    pack: "{credits} pour {price}", packs: "{count} packs, {credits} pour {price}", offers: "Voir les offres",
    spent: "{cost} utilisés, il reste {available}", came: "{credits} sont arrivés",
    away: "Pas à jour : le serveur est injoignable.", loading: "Chargement",
  },
};

// ---------------------------------------------------------------- the client

/** What the API refused: `code` for programs, `message` for people, all its facts in `problem`. */
export class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.name = "Refused";
    this.code = problem.code || "";
    this.status = status;
    this.problem = problem;
  }
}

/** A 402: `problem` has needed, available, missing, unit, cheapest_pack and checkout_url. */
export class InsufficientCredits extends Refused {
  constructor(problem, status) {
    super(problem, status);
    this.name = "InsufficientCredits";
  }
}

/**
 * The credits of one customer. It tells `change` (the balance is another), `spent`, `lack` (a 402) and `failure`.
 * `token` is a function that returns the customer's JWT, or a promise of it: it is asked for each request.
 */
export class Credits extends EventTarget {
  #state = Object.freeze({ credits: null, isLow: false, isLoading: true, error: null });
  #timer = 0;
  #fails = 0;
  #watchers = 0;
  #stream = null;
  #lastEvent = "";
  #asked = 0;
  #isStreaming = false;
  #onVisible = () => document.hidden || this.#look();

  constructor({ token, base = HOME.origin, unit = "CREDIT", everySeconds = 30, stream = false }) {
    super();
    Object.assign(this, { token, base: base.replace(/\/$/, ""), unit, everySeconds, hasStream: stream });
    this.subscribe = this.subscribe.bind(this);
    this.snapshot = () => this.#state;
  }

  /** The last balance that the API answered (`available`, `state`, `held`, …) and `balance`, which is `available`. */
  get credits() { return this.#state.credits; }
  get isLow() { return this.#state.isLow; }

  /** Call `listener` at every change; the first listener starts the looking, the last one that leaves ends it. */
  subscribe(listener) {
    this.addEventListener("change", listener);
    this.addEventListener("failure", listener);
    this.#watchers += 1;
    if (this.#watchers === 1) {
      document.addEventListener("visibilitychange", this.#onVisible);
      this.#look();
    }
    let isHere = true;
    return () => {
      if (!isHere) return;
      isHere = false;
      this.removeEventListener("change", listener);
      this.removeEventListener("failure", listener);
      this.#watchers -= 1;
      if (this.#watchers === 0) {
        document.removeEventListener("visibilitychange", this.#onVisible);
        clearTimeout(this.#timer);
        this.#endStream();
      }
    };
  }

  /** Ask for the balance now. */
  async refresh() {
    const asked = ++this.#asked;
    try {
      const balance = await this.#call("GET", `credits/balance?unit=${encodeURIComponent(this.unit)}`);
      this.#fails = 0;
      if (asked === this.#asked) this.#learn(balance);
    } catch (error) {
      this.#fails += 1;
      this.#become({ isLoading: false, error });
      this.dispatchEvent(new CustomEvent("failure", { detail: error }));
    }
    return this.credits;
  }

  /**
   * Use credits: `{action, quantity?}` of the cost table, or `{amount}`; `reference` and `metadata` are your own words.
   * Give a `key` of your own (an order's number) to make sure that it happens once, even if the page is opened again.
   */
  async spend(use, { key = newKey() } = {}) {
    const wish = typeof use === "string" ? { action: use } : use;
    try {
      const spent = await this.#once("POST", `credits/spend?unit=${encodeURIComponent(this.unit)}`, wish, key);
      this.dispatchEvent(new CustomEvent("spent", { detail: spent }));
      await this.refresh();
      return spent;
    } catch (error) {
      if (error instanceof InsufficientCredits) {
        this.dispatchEvent(new CustomEvent("lack", { detail: error.problem }));
        this.refresh();
      }
      throw error;
    }
  }

  /** What it would cost, and whether it can be paid; nothing is taken. */
  estimate(use) {
    const wish = typeof use === "string" ? { action: use } : use;
    return this.#call("POST", `credits/estimate?unit=${encodeURIComponent(this.unit)}`, wish);
  }

  async #call(method, path, body, key) {
    const headers = { Accept: "application/json", Authorization: `Bearer ${await this.token()}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await fetch(`${this.base}/api/v1/${path}`, { method, headers, body: text, credentials: "omit" });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    const Kind = told.code === "insufficient_credits" ? InsufficientCredits : Refused;
    throw Object.assign(new Kind(told, answer.status), { retryAfter: Number(answer.headers.get("Retry-After")) || 0 });
  }

  async #once(method, path, body, key) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#call(method, path, body, key);
      } catch (error) {
        const mayComeAgain = error instanceof TypeError || AGAIN.includes(error.status);
        if (!mayComeAgain || tries === TRIES) throw error;
        await pause(Math.min(error.retryAfter || tries, 10));
      }
    }
  }

  #learn(balance) {
    const old = this.credits;
    const isOlder = old && old.unit === balance.unit && balance.version < old.version;
    if (isOlder) return;
    const credits = Object.freeze({ ...old, ...balance, balance: balance.available });
    const isSame = old && !this.#state.error && old.version === credits.version && old.state === credits.state
      && old.available === credits.available && old.held === credits.held;
    if (isSame) return;
    this.#become({ credits, isLow: credits.state !== "ok", isLoading: false, error: null });
    this.dispatchEvent(new CustomEvent("change", { detail: { credits, before: old } }));
  }

  #become(changes) {
    this.#state = Object.freeze({ ...this.#state, ...changes }); // a new object: React compares by identity
  }

  async #look() {
    clearTimeout(this.#timer);
    await this.refresh();
    if (this.#watchers === 0) return;
    if (this.hasStream && !this.#stream) this.#openStream();
    this.#lookLater();
  }

  #lookLater() {
    clearTimeout(this.#timer);
    if (document.hidden || this.#watchers === 0) return; // nobody looks; coming back looks at once
    const seconds = Math.min(this.everySeconds * (this.#isStreaming ? 10 : 2 ** this.#fails), SLOWEST_SECONDS);
    this.#timer = setTimeout(() => this.#look(), seconds * 1000);
  }

  async #openStream() {
    this.#stream = { close() {} };
    try {
      const { ticket, stream_url: url } = await this.#call("POST", "events/ticket");
      if (this.#watchers === 0 || !this.#stream) return;
      const query = new URLSearchParams({ ticket, last_event_id: this.#lastEvent });
      if (!this.#lastEvent) query.delete("last_event_id");
      const stream = new EventSource(`${url}?${query}`);
      this.#stream = stream;
      const seen = (event) => {
        this.#lastEvent = event.lastEventId || this.#lastEvent;
        this.#isStreaming = true;
        return JSON.parse(event.data).data;
      };
      stream.addEventListener("stream.ready", seen);
      stream.addEventListener("credits.balance", (event) => {
        const figure = seen(event);
        if (figure.unit === this.unit) this.#learn(figure);
      });
      // A ticket is good once: whatever ends the stream, the next look comes back with another.
      stream.onerror = () => { this.#endStream(); this.#lookLater(); };
    } catch {
      this.#endStream(); // polling goes on
    }
  }

  #endStream() {
    this.#stream?.close();
    this.#stream = null;
    this.#isStreaming = false;
  }
}

/** `const client = useCredits({ token: () => myToken })`; in React hand `client.subscribe` and `client.snapshot` on. */
export function useCredits(options) {
  return new Credits(options);
}

/** For an Idempotency-Key: `crypto.randomUUID` exists on secure pages only. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
}

function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

// ---------------------------------------------------------------- words

function languageOf(element) {
  const said = element.closest("[lang]")?.lang || document.documentElement.lang || navigator.language || "en";
  return said.toLowerCase().startsWith("fr") ? "fr" : "en";
}

function say(text, facts) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => facts[name] ?? whole);
}

class Words {
  constructor(element) {
    this.language = languageOf(element);
    this.texts = { ...TEXTS[this.language] };
    this.one = element.getAttribute("one") || this.texts.one;
    this.other = element.getAttribute("many") || this.texts.other;
  }

  number(count) {
    return new Intl.NumberFormat(this.language).format(count);
  }

  credits(count) {
    const form = new Intl.PluralRules(this.language).select(count);
    return `${this.number(count)} ${form === "one" ? this.one : this.other}`;
  }

  price(minor, currency) {
    const format = new Intl.NumberFormat(this.language, { style: "currency", currency });
    return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
  }
}

function make(tag, facts = {}, ...children) {
  const made = Object.assign(document.createElement(tag), facts);
  made.append(...children);
  return made;
}

function shadowOf(element) {
  const shadow = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  shadow.replaceChildren(make("link", { rel: "stylesheet", href: SHEET }));
  return shadow;
}

// ---------------------------------------------------------------- the badge

/**
 * `<tirelire-credits buy auto-offer toasts one="token" many="tokens">` with `element.client = useCredits(…)`.
 * `buy` always shows the way to the offers, `inline` leaves out the frame, `quiet` opens no offer at a 402, `auto-offer`
 * opens one as soon as credits are low or used up (once in a session), `toasts` tells what was used and what came.
 */
export class CreditsBadge extends HTMLElement {
  #client = null;
  #leave = null;
  #here = new AbortController();

  get client() { return this.#client; }
  set client(client) {
    this.#end();
    this.#client = client;
    if (this.isConnected) this.#begin();
  }

  connectedCallback() {
    this.#draw();
    this.#begin();
  }

  disconnectedCallback() { this.#end(); }

  #begin() {
    if (!this.#client || this.#leave) return;
    this.#here = new AbortController();
    const heard = { signal: this.#here.signal };
    this.#client.addEventListener("change", (event) => this.#onChange(event.detail), heard);
    this.#client.addEventListener("spent", (event) => this.#onSpent(event.detail), heard);
    this.#client.addEventListener("lack", (event) => this.hasAttribute("quiet") || this.offer(event.detail), heard);
    this.#leave = this.#client.subscribe(() => this.#draw());
    this.#draw();
  }

  #end() {
    this.#leave?.();
    this.#leave = null;
    this.#here.abort();
  }

  /** Open the offer: with the facts of a 402, or of the balance as it stands. */
  offer(facts = null) {
    const known = facts ?? { available: this.#client?.credits?.available ?? 0 };
    return openOffer({ ...known, offers_url: this.#offersUrl }, this);
  }

  get #offersUrl() {
    return this.getAttribute("offers") || `${this.#client?.base ?? HOME.origin}/pricing`;
  }

  #onSpent({ cost, available }) {
    const words = new Words(this);
    if (!this.hasAttribute("toasts")) return;
    toast(say(words.texts.spent, { cost: words.credits(cost), available: words.number(available) }), { near: this });
  }

  #onChange({ credits, before }) {
    const words = new Words(this);
    if (this.hasAttribute("toasts") && before && credits.available > before.available) {
      const came = words.credits(credits.available - before.available);
      toast(say(words.texts.came, { credits: came }), { near: this });
    }
    const isFirstOfItsKind = credits.state !== "ok" && (!before || before.state !== credits.state);
    if (this.hasAttribute("auto-offer") && isFirstOfItsKind && remember(`${credits.unit}:${credits.state}`)) this.offer();
  }

  #draw() {
    const words = new Words(this);
    const { credits, error, isLoading } = this.#client?.snapshot() ?? { isLoading: true };
    const shadow = this.shadowRoot ?? shadowOf(this);
    const text = credits ? (credits.unlimited ? words.texts.unlimited : words.credits(credits.available)) : "…";
    const state = credits?.state ?? "";
    const body = make("span", { className: `badge ${state}${error ? " away" : ""}`, title: error ? words.texts.away : "" });
    body.setAttribute("part", "badge");
    body.setAttribute("role", "status");
    if (isLoading) body.setAttribute("aria-busy", "true");
    body.setAttribute("aria-label", credits ? `${text}, ${words.texts[state] ?? ""}` : words.texts.loading);
    body.append(make("span", { className: "dot", ariaHidden: "true" }), make("span", { className: "figure" }, text));
    if (state && state !== "ok") body.append(make("span", { className: "state" }, words.texts[state]));
    const parts = [body];
    if (credits && (this.hasAttribute("buy") || state === "empty")) {
      const link = make("a", { className: "buy", href: this.#offersUrl }, words.texts.buy);
      link.setAttribute("part", "buy");
      parts.push(link);
    }
    shadow.querySelectorAll(":not(link)").forEach((each) => each.parentNode === shadow && each.remove());
    shadow.append(...parts);
  }
}

function remember(what) {
  const name = `tirelire:offered:${what}`;
  try {
    if (sessionStorage.getItem(name)) return false;
    sessionStorage.setItem(name, "1");
  } catch {
    // No storage here: then it is offered once more.
  }
  return true;
}

// ---------------------------------------------------------------- the offer

/** A dialog that says what is missing and the cheapest way to it. `facts` are those of a 402, as the API tells them. */
export function openOffer(facts, near = document.body) {
  document.querySelector("tirelire-offer")?.remove();
  const offer = document.createElement("tirelire-offer");
  offer.lang = languageOf(near);
  for (const name of ["one", "many"]) {
    if (near.getAttribute?.(name)) offer.setAttribute(name, near.getAttribute(name));
  }
  offer.facts = facts;
  document.body.append(offer);
  return offer;
}

export class CreditsOffer extends HTMLElement {
  facts = {};

  connectedCallback() {
    const { facts } = this;
    const words = new Words(this);
    const pack = facts.cheapest_pack;
    const title = make("h2", { id: "title" }, this.#title(words));
    const later = make("button", { type: "button", className: "second" }, words.texts.later);
    const url = facts.checkout_url || facts.offers_url || `${HOME.origin}/pricing`;
    const buy = make("a", { className: "button", href: url }, pack ? words.texts.buy : words.texts.offers);
    const dialog = make("dialog", {}, title, make("p", {}, this.#lack(words)));
    dialog.setAttribute("aria-labelledby", "title");
    dialog.setAttribute("part", "dialog");
    if (pack) dialog.append(make("p", { className: "pack" }, this.#pack(words, pack)));
    dialog.append(make("div", { className: "buttons" }, buy, later));
    shadowOf(this).append(dialog);
    later.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.remove());
    dialog.showModal();
    buy.focus();
  }

  #title(words) {
    if (this.facts.missing) return words.texts.lacking;
    return this.facts.available > 0 ? words.texts.runningLow : words.texts.usedUp;
  }

  #lack(words) {
    const { needed = 0, available = 0, missing = 0 } = this.facts;
    const facts = { needed: words.credits(needed), available: words.number(available), missing: words.number(missing) };
    return missing ? say(words.texts.need, facts) : say(words.texts.have, { available: words.credits(available) });
  }

  #pack(words, { count, credits, amount, currency }) {
    const facts = { count: words.number(count), credits: words.credits(credits), price: words.price(amount, currency) };
    return say(count > 1 ? words.texts.packs : words.texts.pack, facts);
  }
}

// ---------------------------------------------------------------- the toast

/** A short line at the foot of the page, read out by screen readers; it goes by itself. */
export function toast(text, { seconds = 5, near = document.body } = {}) {
  let stack = document.querySelector("tirelire-toasts");
  if (!stack) {
    stack = document.createElement("tirelire-toasts");
    document.body.append(stack);
  }
  stack.lang = languageOf(near);
  return stack.show(text, seconds);
}

export class CreditsToasts extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const list = make("div", { className: "toasts" });
    list.setAttribute("role", "status");
    list.setAttribute("aria-live", "polite");
    shadowOf(this).append(list);
  }

  show(text, seconds) {
    const line = make("p", { className: "toast" }, text);
    line.setAttribute("part", "toast");
    this.shadowRoot.querySelector(".toasts").append(line);
    setTimeout(() => line.remove(), seconds * 1000);
    return line;
  }
}

for (const [name, kind] of Object.entries({
  "tirelire-credits": CreditsBadge,
  "tirelire-offer": CreditsOffer,
  "tirelire-toasts": CreditsToasts,
})) {
  if (!customElements.get(name)) customElements.define(name, kind);
}
