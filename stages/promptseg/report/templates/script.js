"use strict";
// The page is complete without this script, which only sorts and filters the leaderboards and opens what is linked to.

const MISSING = "–";

// Numbers are read as they are shown; a field without a value is last in either order.
function value(row, column, kind) {
  const text = row.cells[column].textContent.trim();
  if (text === "" || text.startsWith(MISSING)) return null;
  return kind === "number" ? parseFloat(text) : text;
}

function sort(table, header) {
  const kind = header.dataset.sort, column = header.cellIndex;
  const first = kind === "number" ? "descending" : "ascending", other = kind === "number" ? "ascending" : "descending";
  const order = header.getAttribute("aria-sort") === first ? other : first;
  const sign = order === "ascending" ? 1 : -1, body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [value(row, column, kind), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (kind === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  });
  body.append(...rows.map(([, row]) => row));
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", order);
  table.classList.add("sorted");
}

for (const header of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => sort(header.closest("table"), header));
}

const form = document.getElementById("filter");

function filter() {
  const rows = document.querySelectorAll(".leaderboard tbody tr");
  let shown = 0;
  for (const row of rows) {
    row.hidden = ["dataset", "model"].some((name) => !["", row.dataset[name]].includes(form.elements[name].value));
    shown += !row.hidden;
  }
  form.querySelector("output").value = `${shown} of ${rows.length} runs`;
}

form.hidden = false;
form.addEventListener("change", filter);
form.addEventListener("reset", () => setTimeout(filter));
form.addEventListener("submit", (event) => event.preventDefault());
filter();

// Browsers open the details around the target of a link; older ones do not.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target?.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  target?.scrollIntoView();
}

addEventListener("hashchange", reveal);
if (location.hash) reveal();

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const box of closed) box.open = true;
});
addEventListener("afterprint", () => {
  for (const box of closed) box.open = false;
});
