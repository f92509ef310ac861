// Draws the charts, and makes tables sortable and long ones filterable; the page says all of it
// without a script too, but for the charts.

const LONG = 8; // rows from which a table can be filtered

async function draw(figure) {
  const plot = figure.querySelector(".plot");
  const spec = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  // Expressions are interpreted (ast): the page's policy allows no code that is made of text.
  const options = { ast: true, actions: false, renderer: "svg", tooltip: { disableDefaultStyle: true } };
  await window.vegaEmbed(plot, spec, options);
  const drawing = plot.querySelector("svg");
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", plot.dataset.summary);
}

// Cells with a number in front are sorted by it: "0.981 [0.9, 1.0]", "12,345".
function keyOf(text) {
  const found = /^[-+]?[\d,]*\.?\d+(e[-+]?\d+)?(?![\d,.]*,)/i.exec(text.trim());
  return found ? Number(found[0].replaceAll(",", "")) : NaN;
}

function compare(one, other) {
  const [a, b] = [keyOf(one), keyOf(other)];
  if (!Number.isNaN(a) && !Number.isNaN(b) && a !== b) return a - b;
  if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
  return one.localeCompare(other, "en", { numeric: true });
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const falls = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((one) => one.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const text = (row) => row.cells[column]?.textContent ?? "";
      const rows = [...table.tBodies[0].rows].sort((a, b) => compare(text(a), text(b)));
      table.tBodies[0].append(...(falls ? rows.reverse() : rows));
    });
  });
}

function makeFilterable(table) {
  const rows = [...table.tBodies[0].rows];
  const [bar, label, input, count] = ["div", "label", "input", "output"].map((tag) =>
    document.createElement(tag),
  );
  bar.className = "filter";
  input.type = "search";
  label.append("Rows with ", input);
  const show = () => {
    const wanted = input.value.toLowerCase();
    const hit = (row) => row.textContent.toLowerCase().includes(wanted);
    rows.forEach((row) => (row.hidden = !hit(row)));
    count.textContent = `${rows.filter(hit).length} of ${rows.length}`;
  };
  input.setAttribute("aria-label", `Rows with this text: ${table.caption.textContent}`);
  input.addEventListener("input", show);
  bar.append(label, count);
  table.parentElement.before(bar);
  show();
}

// What is wider than the page can be reached, and so scrolled, by keyboard.
const reach = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const scrolls = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
    if (scrolls) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
document.querySelectorAll(".wide").forEach((one) => reach.observe(one));

for (const table of document.querySelectorAll("table.rows")) {
  makeSortable(table);
  if (table.tBodies[0].rows.length >= LONG) makeFilterable(table);
}
await Promise.all([...document.querySelectorAll("figure.chart")].map(draw));
document.documentElement.dataset.drawn = "all";
