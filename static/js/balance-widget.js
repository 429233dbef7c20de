/**
 * A balance to put on any page, with one tag, no cookies and no styles of the page's own disturbed:
 *
 *   <script type="module" src="https://credits.example.com/static/js/balance-widget.js"></script>
 *   <coffer-balance token-url="/my/coffer-token"></coffer-balance>
 *
 * or, where one tag is all there may be, the script tag alone with `data-token-url` (or `data-token`): the
 * balance stands where the tag stands. The token is a signed token of the account with scope `read`; an address
 * that answers with one as text is asked again when it runs out. `credit-type` picks one of several.
 */
import { createClient } from "./api-client.js";

const POLL_MS = 10_000;
const STYLE = `
:host { display: inline-block; font: 570 14px/1.4 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
span { display: inline-block; padding: 4px 12px; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 999px; }
[data-state="loading"], [data-state="gone"] { opacity: 0.6; }
`;

class CofferBalance extends HTMLElement {
  #timer = null;
  #client = null;

  connectedCallback() {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      const text = document.createElement("span");
      text.setAttribute("role", "status");
      text.textContent = "…";
      text.dataset.state = "loading";
      root.append(text);
    }
    const address = this.getAttribute("token-url");
    const token = address ? () => fetch(address).then((answer) => answer.text()).then((text) => text.trim()) : this.getAttribute("token");
    this.#client = createClient({ token: token ?? "" });
    this.#refresh();
    this.#timer = setInterval(() => document.hidden || this.#refresh(), POLL_MS);
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
  }

  async #refresh() {
    const place = this.shadowRoot.querySelector("span");
    try {
      const type = this.getAttribute("credit-type");
      const balance = await this.#client.credits.changedBalance(type ? { credit_type: type } : {});
      if (balance === null) return;
      place.textContent = balance.formatted;
      place.dataset.state = "shown";
      this.dispatchEvent(new CustomEvent("coffer-balance", { detail: balance, bubbles: true, composed: true }));
    } catch {
      /* Offline, or the token is refused: what was shown stays, dimmed; the next poll asks again. */
      place.dataset.state = "gone";
    }
  }
}

if (!customElements.get("coffer-balance")) customElements.define("coffer-balance", CofferBalance);

/* A module does not know its own tag; a tag with our address and a token that has no balance yet is it. */
for (const tag of document.querySelectorAll(`script[src="${CSS.escape(import.meta.url)}"], script[src$="/balance-widget.js"]`)) {
  const { token, tokenUrl, creditType, cofferDone } = tag.dataset;
  if (cofferDone || !(token || tokenUrl)) continue;
  tag.dataset.cofferDone = "true";
  const balance = document.createElement("coffer-balance");
  if (token) balance.setAttribute("token", token);
  if (tokenUrl) balance.setAttribute("token-url", tokenUrl);
  if (creditType) balance.setAttribute("credit-type", creditType);
  tag.after(balance);
}
