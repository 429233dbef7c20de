/**
 * Coffer's API for a browser: an ES module without dependencies.
 *
 *   import { createClient } from "https://credits.example.com/static/js/api-client.js";
 *   const api = createClient({ token: () => fetch("/my/coffer-token").then((answer) => answer.text()) });
 *   const { available } = await api.credits.balance();
 *
 * `token` is a signed token or a function that brings one (asked again when a token has run out). Without one
 * the browser's own session is used, as Coffer's pages do. Refusals are thrown as `CofferError`.
 */
const HERE = new URL(import.meta.url).origin;

/** A refusal: `code`, `status` and the members of the problem document. */
export class CofferError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `Coffer answered ${status}`);
    this.name = "CofferError";
    this.status = status;
    this.code = problem.code ?? "unknown";
    this.problem = problem;
  }
}

/** A client of one instance; `account` names the account where the token does not. */
export function createClient({ baseUrl = HERE, token = null, account = null } = {}) {
  let kept = null;
  const tags = new Map();

  async function headersFor(isFresh) {
    if (!token) return {};
    if (isFresh || kept === null) kept = typeof token === "function" ? await token() : token;
    return { Authorization: `Bearer ${kept}` };
  }

  async function send(method, path, { query = {}, body, headers = {} } = {}, isFresh = false) {
    const given = Object.entries({ account, ...query }).filter(([, value]) => value !== null && value !== undefined);
    const address = `${baseUrl}/api${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
    const answer = await fetch(address, {
      method,
      cache: "no-store",
      credentials: token ? "omit" : "same-origin",
      headers: { ...(await headersFor(isFresh)), ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
      body: body ? JSON.stringify(body) : undefined,
    });
    if (answer.status === 401 && typeof token === "function" && !isFresh) {
      return send(method, path, { query, body, headers }, true);
    }
    return answer;
  }

  async function ask(method, path, options) {
    const answer = await send(method, path, options);
    const content = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new CofferError(answer.status, content);
    return content;
  }

  const get = (path, query) => ask("GET", path, { query });
  const post = (path, body, idempotencyKey = crypto.randomUUID()) =>
    ask("POST", path, { body, headers: { "Idempotency-Key": idempotencyKey } });

  return {
    credits: {
      balance: (query = {}) => get("/credits/balance", query),
      /** The balance where it changed since this client last asked, otherwise null. */
      async changedBalance(query = {}) {
        const name = JSON.stringify(query);
        const tag = tags.get(name);
        const answer = await send("GET", "/credits/balance", { query, headers: tag ? { "If-None-Match": tag } : {} });
        if (answer.status === 304) return null;
        const content = await answer.json().catch(() => ({}));
        if (!answer.ok) throw new CofferError(answer.status, content);
        tags.set(name, answer.headers.get("ETag"));
        return content;
      },
      grants: (query = {}) => get("/credits/grants", query),
      packages: () => get("/credits/packages"),
      check: (amount, more = {}) => post("/credits/check", { amount, ...more }),
      history: (query = {}) => get("/credits/history", query),
    },
    billing: {
      getBalance: (query = {}) => get("/billing/balance", query),
      addFunds: (amount, more = {}, idempotencyKey = undefined) =>
        post("/billing/add-funds", { amount, payment_method: "stripe", ...more }, idempotencyKey),
      getTransactions: (query = {}) => get("/billing/transactions", query),
    },
    user: {
      subscription: () => get("/user/subscription"),
      usage: (query = {}) => get("/user/usage", query),
      payments: (query = {}) => get("/user/payments", query),
    },
  };
}
