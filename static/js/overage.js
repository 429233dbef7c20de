/**
 * What the chosen quantities come to, while they are typed: [data-overage] holds currency, locale and bounds, each row
 * its price in minor units. Whole numbers throughout; the server computes the same and the page works without it.
 */
const COUNT = /^\d{1,10}$/;

function arm(form) {
  const { locale, currency, digits, most, mostQuantity, left, over, tooMuch } = form.dataset;
  const money = new Intl.NumberFormat(locale, { style: "currency", currency, minimumFractionDigits: Number(digits), maximumFractionDigits: Number(digits) });
  const rows = [...form.querySelectorAll("[data-price]")].map((row) => ({ price: BigInt(row.dataset.price), field: row.querySelector("input[type=number]"), subtotal: row.querySelector("output") }));
  const [total, note, button] = ["[data-total]", "[data-note]", "[type=submit]"].map((part) => form.querySelector(part));
  const words = note.textContent.trim();
  const shown = (cents) => (cents > BigInt(most) ? "–" : money.format(Number(cents) / 10 ** Number(digits)));
  const show = () => {
    let sum = 0n;
    let isWrong = false;
    for (const { price, field, subtotal } of rows) {
      const text = field.value.trim();
      const isCount = !text && !field.validity.badInput || COUNT.test(text) && BigInt(text) <= BigInt(mostQuantity);
      const cents = isCount ? price * BigInt(text || 0) : 0n;
      isWrong ||= !isCount;
      sum += cents;
      subtotal.textContent = shown(cents);
    }
    const isMany = sum > BigInt(most);
    const isOver = left !== undefined && sum > BigInt(left);
    total.textContent = shown(sum);
    note.textContent = isMany ? tooMuch : isOver ? over : words;
    if (button) button.disabled = isWrong || isMany || isOver || !rows.some(({ field }) => /[1-9]/.test(field.value));
  };
  form.addEventListener("input", show);
  addEventListener("pageshow", show);
  show();
}

document.querySelectorAll("[data-overage]").forEach(arm);
