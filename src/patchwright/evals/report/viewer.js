// Walks through the cards of a trajectory: j or → forward, k or ← back, Home and End, e unfolds all.
"use strict";
const cards = [...document.querySelectorAll("article.card")];
const links = [...document.querySelectorAll("nav a")];
const place = document.getElementById("place");
const fold = document.getElementById("fold");
let current = -1;

function mark(index) {
  current = index;
  links.forEach((link, i) => i === index ? link.setAttribute("aria-current", "step") : link.removeAttribute("aria-current"));
  cards.forEach((card, i) => card.classList.toggle("current", i === index));
  place.textContent = `${index + 1} of ${cards.length}`;
  const list = document.querySelector("nav");
  const link = links[index];
  list.scrollTop = link.offsetTop - list.clientHeight / 2;
}

function go(index) {
  if (!cards.length) return;
  mark(Math.min(Math.max(index, 0), cards.length - 1));
  cards[current].focus({ preventScroll: true });
  cards[current].scrollIntoView({ block: "start" });
  history.replaceState(null, "", `#${cards[current].id}`);
}

function toggle() {
  const open = fold.getAttribute("aria-pressed") !== "true";
  document.querySelectorAll("details.fold").forEach((details) => { details.open = open; });
  fold.setAttribute("aria-pressed", String(open));
  fold.textContent = open ? "fold all" : "unfold all";
}

const keys = {
  j: () => go(current + 1), ArrowRight: () => go(current + 1),
  k: () => go(current - 1), ArrowLeft: () => go(current - 1),
  Home: () => go(0), End: () => go(cards.length - 1),
  e: toggle,
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});
document.getElementById("previous").addEventListener("click", () => go(current - 1));
document.getElementById("next").addEventListener("click", () => go(current + 1));
fold.addEventListener("click", toggle);
links.forEach((link, i) => link.addEventListener("click", (event) => { event.preventDefault(); go(i); }));
const start = cards.findIndex((card) => `#${card.id}` === location.hash);
if (start >= 0) go(start);
