/**
 * What the pages do beyond HTML: theme, dialogs, menus, toasts, buttons that submit once, copying, the live
 * balance and the chart's tooltip. Every page works without it. Words come from the page's data attributes.
 */
import { createClient } from "./api-client.js";

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const SECONDS = 1000;

/* Theme: the cookie is what the server renders from, so that no page flashes. */
function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
function showTheme() {
  all("[data-theme-toggle]").forEach((button) => button.setAttribute("aria-pressed", String(isDark())));
}
function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  document.documentElement.dataset.theme = theme;
  showTheme();
}

/* Dialogs: a link or button names the dialog it opens; the server may also draw one open. */
function openDialog(dialog, opener) {
  if (!dialog || dialog.matches(":modal")) return;
  dialog.removeAttribute("open");
  dialog.showModal();
  one("[autofocus]", dialog)?.focus();
  dialog.addEventListener("close", () => opener?.focus(), { once: true });
}

/* Toasts: one status region; good news leaves by itself unless it is being read. */
function armToast(toast) {
  one("[data-toast-close]", toast)?.removeAttribute("hidden");
  if (toast.dataset.kind === "danger" || toast.dataset.kind === "warning") return;
  const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 2 * SECONDS) : toast.remove());
  setTimeout(leave, 8 * SECONDS);
}
export function showToast(text, kind = "info") {
  const region = one("[data-toasts]");
  const toast = one("template", region)?.content.firstElementChild.cloneNode(true);
  if (!toast) return;
  toast.dataset.kind = kind;
  toast.classList.add(`toast-${kind}`);
  one("p", toast).textContent = text;
  region.append(toast);
  armToast(toast);
}
function announceFlashedToasts() {
  const toasts = all("[data-toasts] > .toast");
  toasts.forEach((toast) => toast.remove());
  setTimeout(() => toasts.forEach((toast) => { one("[data-toasts]").append(toast); armToast(toast); }), 50);
}

/* A form that says so is sent once; its button shows that it works on it. */
function markWorking(form, submitter) {
  const button = submitter ?? one("[type=submit], button:not([type])", form);
  if (!button) return;
  button.setAttribute("aria-busy", "true");
  setTimeout(() => { button.disabled = true; }, 0);
}
function clearWorking(within = document) {
  all("[aria-busy=true]", within).forEach((button) => {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  });
}

async function copyText(button) {
  try {
    await navigator.clipboard.writeText(one(`#${button.dataset.copy}`).textContent.trim());
    showToast(button.dataset.copied, "success");
  } catch {
    getSelection().selectAllChildren(one(`#${button.dataset.copy}`));
  }
}

/* The live balance: a poll that an ETag answers while the page is seen, and one after each action. */
const { account } = document.body.dataset;
const api = account ? createClient({ account }) : null;
let balanceBusy = false;
async function refreshBalance() {
  if (!api || balanceBusy || document.hidden) return;
  balanceBusy = true;
  try {
    showBalances((await api.credits.changedBalance())?.balances ?? []);
  } catch {
    /* Offline, signed out or restarting: the next poll asks again. */
  } finally {
    balanceBusy = false;
  }
}
function showBalances(balances) {
  for (const { type, formatted } of balances) {
    for (const place of all(`[data-balance="${CSS.escape(type)}"]`)) {
      if (place.textContent.trim() === formatted) continue;
      place.textContent = formatted;
      const chip = place.closest(".balance-chip");
      chip?.classList.add("is-changed");
      chip?.addEventListener("animationend", () => chip.classList.remove("is-changed"), { once: true });
    }
  }
}

/* The chart's tooltip follows the pointer and the arrow keys. */
function armChart(chart) {
  const points = all(".chart-hit", chart);
  const tip = one(".chart-tip", chart);
  if (!points.length || chart.dataset.armed) return;
  chart.dataset.armed = "true";
  const frame = one(".chart-frame", chart);
  frame.tabIndex = 0;
  let at = -1;
  const show = (index) => {
    points[at]?.classList.remove("is-on");
    at = index;
    tip.hidden = at < 0;
    if (at < 0) return;
    points[at].classList.add("is-on");
    tip.replaceChildren(...points[at].dataset.tip.split("|").map((line, number) => {
      const part = document.createElement(number ? "span" : "strong");
      part.textContent = line;
      return part;
    }));
    const box = frame.getBoundingClientRect();
    const bar = points[at].getBoundingClientRect();
    const half = tip.offsetWidth / 2;
    tip.style.left = `${Math.min(Math.max(bar.left + bar.width / 2 - box.left, half), box.width - half)}px`;
  };
  const keys = { ArrowRight: () => Math.min(at + 1, points.length - 1), ArrowLeft: () => Math.max(at - 1, 0), Home: () => 0, End: () => points.length - 1, Escape: () => -1 };
  frame.addEventListener("keydown", (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    show(keys[event.key]());
  });
  frame.addEventListener("pointermove", (event) => show(points.indexOf(event.target.closest(".chart-hit"))));
  frame.addEventListener("pointerdown", (event) => show(points.indexOf(event.target.closest(".chart-hit"))));
  frame.addEventListener("pointerleave", () => show(-1));
  frame.addEventListener("blur", () => show(-1));
}

function arm(within = document) {
  all("[data-chart]", within).forEach(armChart);
  all("dialog[data-open]", within).forEach((dialog) => openDialog(dialog));
}

document.addEventListener("click", (event) => {
  const { target } = event;
  all("details.menu[open]").forEach((menu) => menu.contains(target) || menu.removeAttribute("open"));
  if (target instanceof HTMLDialogElement) return target.close();
  const hit = target.closest("[data-theme-toggle], [data-dialog-open], [data-toast-close], [data-copy]");
  if (!hit) return;
  const { dialogOpen } = hit.dataset;
  if ("themeToggle" in hit.dataset) toggleTheme();
  else if (dialogOpen && document.getElementById(dialogOpen)) {
    event.preventDefault();
    openDialog(document.getElementById(dialogOpen), hit);
  } else if ("toastClose" in hit.dataset) hit.closest(".toast").remove();
  else if (hit.dataset.copy) copyText(hit);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  all("details.menu[open]").forEach((menu) => { menu.removeAttribute("open"); one("summary", menu).focus(); });
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("once" in form.dataset) || event.submitter?.formMethod === "dialog") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "true";
  markWorking(form, event.submitter);
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  all("form[data-sent]").forEach((form) => delete form.dataset.sent);
  clearWorking();
});
document.addEventListener("htmx:afterSettle", (event) => arm(event.target));
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest("form[data-sent]");
  if (form) { delete form.dataset.sent; clearWorking(form); }
  refreshBalance();
});
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, () => showToast(one("[data-toasts]")?.dataset.failed ?? "", "danger"));
}
document.addEventListener("coffer:toast", ({ detail }) => showToast(detail.text, detail.kind));
document.addEventListener("visibilitychange", refreshBalance);

showTheme();
announceFlashedToasts();
arm();
setInterval(refreshBalance, 10 * SECONDS);
