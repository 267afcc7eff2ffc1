"use strict";
// A click on a heading sorts its table: rising, falling, then as it was written. The page is whole without this script.

const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

function key(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  return { text, number: parseFloat(text.replaceAll(",", "").replace("\u2212", "-")) };
}

function compare(a, b, sign) { // cells without a number come last, whichever way the numbers go
  return Number.isNaN(a.number) - Number.isNaN(b.number) || sign * (a.number - b.number || a.text.localeCompare(b.text, "en"));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const [body] = table.tBodies;
  const written = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const order = NEXT[heading.getAttribute("aria-sort") ?? "none"];
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      if (order !== "none") heading.setAttribute("aria-sort", order);
      const sign = order === "descending" ? -1 : 1;
      const sorted = [...written].sort((a, b) => compare(key(a, column), key(b, column), sign));
      body.append(...(order === "none" ? written : sorted));
    });
  });
}

// A table that is wider than its box can be scrolled with the arrow keys.
function reachable() {
  for (const box of document.querySelectorAll(".wide")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", reachable);
reachable();
