// Sorts and filters the rows of the instances.
"use strict";
const body = document.querySelector("#rows tbody");
const rows = [...body.rows];
const heads = [...document.querySelectorAll("#rows thead th")];
const words = document.getElementById("words");
const selects = ["run", "outcome"].map((id) => document.getElementById(id)).filter(Boolean);

function valueOf(row, column, kind) {
  const cell = row.cells[column];
  return kind === "number" ? Number(cell.dataset.value) : cell.textContent.trim();
}

function compare(a, b) {
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}

function sort(head, column) {
  const descending = head.getAttribute("aria-sort") === "ascending";
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const kind = head.dataset.kind;
  rows.sort((a, b) => compare(valueOf(a, column, kind), valueOf(b, column, kind)) * (descending ? -1 : 1));
  body.append(...rows);
}

function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !wanted.every((word) => text.includes(word))
      || selects.some((select) => select.value && row.dataset[select.id] !== select.value);
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
}

heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => sort(head, column)));
words.addEventListener("input", filter);
selects.forEach((select) => select.addEventListener("change", filter));
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
