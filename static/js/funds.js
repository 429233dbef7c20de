/**
 * What the balance will be, while an amount is typed: [data-funds] holds what there is, in the wallet's smallest
 * unit, and its currency. Whole numbers throughout; the page and its quick amounts work without it.
 */
const DIGITS = /^\d{1,12}(?:\.\d+)?$/;

/** The typed amount in the smallest unit, or null where it is none that can be paid. */
function unitsOf(text, { scale, digits, least, most }) {
  if (!DIGITS.test(text)) return null;
  const [whole, part = ""] = text.split(".");
  if (part.slice(digits).replace(/0/g, "")) return null;
  const units = Number(whole + part.slice(0, digits).padEnd(scale, "0"));
  return units >= least && units <= most ? units : null;
}

function arm(form) {
  const { locale, currency, balance } = form.dataset;
  const bounds = Object.fromEntries(["scale", "digits", "least", "most"].map((key) => [key, Number(form.dataset[key])]));
  const money = new Intl.NumberFormat(locale, {
    style: "currency", currency, minimumFractionDigits: bounds.digits, maximumFractionDigits: Math.max(bounds.digits, bounds.scale),
  });
  const field = form.elements.own_amount;
  const shown = form.querySelector("output");
  const show = () => {
    const units = unitsOf(field.value.trim(), bounds);
    shown.textContent = units === null ? "" : form.dataset.words.replace("{balance}", money.format((Number(balance) + units) / 10 ** bounds.scale));
  };
  field.addEventListener("input", show);
  if (field.value) show();
}

document.querySelectorAll("[data-funds]").forEach(arm);
