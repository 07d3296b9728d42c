// Which part of the picture is seen: by wheel, pointer, two fingers, keys and buttons.
const FAR = 0.72, READABLE = 0.4, SMALLEST = 0.05, WHOLE_LARGEST = 1.25, LARGEST = 4, MARGIN = 20;
const view = { x: 0, y: 0, scale: 1, free: false };
let bounds = { x: 0, y: 0, w: 0, h: 0 };

function roomOf() {
  const room = $("picture").getBoundingClientRect();
  return { left: room.left, top: room.top, width: Math.max(100, room.width), height: Math.max(100, room.height) };
}

function setView() {
  const room = roomOf();
  $("picture").setAttribute("viewBox", [view.x, view.y, room.width / view.scale, room.height / view.scale].join(" "));
  $("picture").classList.toggle("far", view.scale < FAR);
}

function wholeScale(room) {
  const scale = Math.min(room.width / (bounds.w + 2 * MARGIN), room.height / (bounds.h + 2 * MARGIN));
  return Math.min(WHOLE_LARGEST, Math.max(SMALLEST, scale));
}

// In the middle; what is smaller than the window is at the top, where what comes next to it has its place below.
function showWhole() {
  const room = roomOf();
  view.scale = wholeScale(room);
  view.x = bounds.x - Math.max(MARGIN, (room.width / view.scale - bounds.w) / 2);
  view.y = bounds.y - MARGIN;
  view.free = false;
  setView();
}

// A picture too large to be read as a whole begins with its first islands.
function showFirst() {
  showWhole();
  if (view.scale >= READABLE) return;
  Object.assign(view, { scale: READABLE * 1.5, x: bounds.x - MARGIN, y: bounds.y - MARGIN });
  setView();
}

// Where the reader has not moved it, it follows what outgrows the window.
function keepView(next) {
  const room = roomOf(), first = bounds.w === 0;
  bounds = next;
  const outside = bounds.x < view.x || bounds.y < view.y || bounds.x + bounds.w > view.x + room.width / view.scale ||
    bounds.y + bounds.h > view.y + room.height / view.scale;
  if (first || (!view.free && outside)) showFirst(); else setView();
}

function zoomAt(by, x, y) {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * by));
  view.x += x / view.scale - x / scale;
  view.y += y / view.scale - y / scale;
  Object.assign(view, { scale, free: true });
  setView();
}

function zoomMiddle(by) {
  const room = roomOf();
  zoomAt(by, room.width / 2, room.height / 2);
}

function pan(dx, dy) {
  view.x -= dx / view.scale;
  view.y -= dy / view.scale;
  view.free = true;
  setView();
}

// So that it is seen whole, and not so small that it cannot be read; what is seen already does not move.
function reveal(box) {
  const room = roomOf(), gap = MARGIN / 2;
  if (view.scale < FAR) {
    const x = (box.x + box.w / 2 - view.x) * view.scale, y = (box.y + box.h / 2 - view.y) * view.scale;
    zoomAt(1 / view.scale, x, y);
  }
  const right = view.x + room.width / view.scale, bottom = view.y + room.height / view.scale;
  if (box.x - gap < view.x || box.x + box.w + gap > right) view.x = box.x + box.w / 2 - room.width / view.scale / 2;
  if (box.y - gap < view.y || box.y + box.h + gap > bottom) view.y = box.y + box.h / 2 - room.height / view.scale / 2;
  view.x = Math.max(view.x, bounds.x - MARGIN);
  view.y = Math.max(view.y, bounds.y - MARGIN);
  view.free = true;
  setView();
}

// ---- Pointers ---------------------------------------------------------------------------------------------------

const pointers = new Map();
let travelled = 0; // since the first went down: a click that moved is none

function pointerDown(event) {
  if (event.button > 0) return;
  if (!pointers.size) travelled = 0;
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
}

function pointerMove(event) {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const dx = event.clientX - before.x, dy = event.clientY - before.y, room = roomOf();
  const other = [...pointers].find(([id]) => id !== event.pointerId);
  travelled += Math.hypot(dx, dy);
  if (travelled <= 4) return;
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (!other) { pan(dx, dy); return; }
  const { x, y } = other[1], far = Math.max(1, Math.hypot(before.x - x, before.y - y));
  zoomAt(Math.hypot(event.clientX - x, event.clientY - y) / far, x - room.left, y - room.top);
}

function pointerUp(event) { pointers.delete(event.pointerId); }

function wheel(event) {
  event.preventDefault();
  const room = roomOf(), lines = [1, 16, room.height][event.deltaMode] || 1;
  zoomAt(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.0018), event.clientX - room.left,
    event.clientY - room.top);
}

// ---- Keys -------------------------------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const middleOf = node => ({ x: node.x + node.w / 2, y: node.y + node.h / 2 });

// The nearest in that direction; what lies aside counts twice.
function nextNode(nodes, now, [dx, dy]) {
  const from = middleOf(now);
  let best = null, least = Infinity;
  for (const node of nodes) {
    const to = middleOf(node), x = to.x - from.x, y = to.y - from.y;
    const along = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx), far = along + 2 * aside;
    if (along > 1 && far < least) { best = node; least = far; }
  }
  return best || now;
}

function pictureKey(event, nodes, open) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const way = ARROWS[event.key], id = document.activeElement && document.activeElement.getAttribute("data-id");
  if (way && event.shiftKey) pan(-60 * way[0], -60 * way[1]);
  else if (way && nodes.length) {
    const now = nodes.find(node => node.id === id), next = now ? nextNode(nodes, now, way) : nodes[0];
    reveal(next);
    drawn.get(next.id).g.focus({ preventScroll: true });
  } else if (event.key === "+" || event.key === "=") zoomMiddle(1.25);
  else if (event.key === "-") zoomMiddle(0.8);
  else if (event.key === "0") showWhole();
  else if ((event.key === "Enter" || event.key === " ") && id) open(document.activeElement.getAttribute("data-ref"));
  else return;
  event.preventDefault();
}

function watchPointers(nodes, open) {
  const picture = $("picture");
  picture.addEventListener("wheel", wheel, { passive: false });
  picture.addEventListener("pointerdown", pointerDown);
  window.addEventListener("pointermove", pointerMove);
  window.addEventListener("pointerup", pointerUp);
  window.addEventListener("pointercancel", pointerUp);
  picture.addEventListener("click", event => {
    const element = event.target.closest("[data-ref]");
    if (element && travelled <= 4) open(element.getAttribute("data-ref"));
  });
  picture.addEventListener("keydown", event => pictureKey(event, nodes(), open));
  $("nearer").addEventListener("click", () => zoomMiddle(1.25));
  $("farther").addEventListener("click", () => zoomMiddle(0.8));
  $("fit").addEventListener("click", showWhole);
}
