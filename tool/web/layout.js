// Where everything is.  An island is laid out in levels from left to right, around what has most neighbours; a long one
// goes back and forth in bands.  Islands are packed to fill the window.  What was shown before stays where it was.
const LINE = 24, PITCH = 32, BAD_PITCH = 46; // a box, and from row to row
const BETWEEN = 62, BESIDE = 14, ARC = 30; // levels, columns of a level, room for edges from side to same side
const BAND_GAP = 30, BAND_WIDTH = 1300;
const ISLAND_GAP = 28, ROW = LINE + ISLAND_GAP; // islands begin in rows
const NARROW = 64, WIDE = 192, BAD_WIDE = 264, STEP = 16; // boxes: those of nearly one width line up
const REASON = 14, FAR_LETTERS = 18; // letters that are read from afar
const ROWS = 14, SIDES = 16; // a level of more goes into two columns; a star of more to both sides

const widths = new Map(), pen = document.createElement("canvas").getContext("2d");

function widthOf(text, size) {
  const key = size + text;
  if (!widths.has(key)) {
    if (widths.size > 20000) widths.clear();
    pen.font = size + "px system-ui, sans-serif";
    widths.set(key, pen.measureText(text).width);
  }
  return widths.get(key);
}

// Of a path the end tells most.
function cut(text, room, size) {
  if (widthOf(text, size) <= room) return text;
  const letters = [...text], share = text.includes("/") ? 0.4 : 1;
  let count = Math.min(letters.length, 120);
  const words = () => {
    const head = Math.ceil(count * share);
    return letters.slice(0, head).join("") + "…" + letters.slice(letters.length - count + head).join("");
  };
  while (count && widthOf(words(), size) > room) count--;
  return words();
}

function nodeWidth(node) {
  const words = widthOf(clean(node.label), 12) + (node.number ? widthOf(node.number, 11) + 6 : 0);
  const reason = node.bad ? widthOf(clean(reasonOf(node)), REASON) : 0;
  const several = node.several ? widthOf(clean(node.label) + " " + node.number, FAR_LETTERS) : 0;
  const width = Math.max(NARROW, words + 18 + (node.processes ? 0 : 14), reason + 16, several + 12);
  return Math.ceil(Math.min(node.bad ? BAD_WIDE : WIDE, width) / STEP) * STEP;
}

// ---- One island -------------------------------------------------------------------------------------------------

function rootOf(island, memory) {
  const sorted = [...island.nodes].filter(node => !node.mark).sort(order), degree = node => neighboursOf(node).size;
  const before = sorted.find(node => memory.nodes.get(node.id)?.root === node.id);
  if (before) return before;
  const most = sorted.reduce((a, b) => degree(b) > degree(a) ? b : a, sorted[0]) || island.nodes[0];
  if (degree(most) > 3) return most;
  const gives = node => node.edges.some(e => e.from === node ? e.forth : e.back);
  const takes = node => node.edges.some(e => e.from === node ? e.back : e.forth);
  return sorted.find(node => gives(node) && !takes(node)) || sorted.find(node => degree(node) === 1) || most;
}

function levelsOf(root) {
  const level = new Map([[root, 0]]), levels = [];
  for (const node of level.keys()) {
    const depth = level.get(node);
    (levels[depth] = levels[depth] || []).push(node);
    for (const next of [...neighboursOf(node)].sort(order)) if (!level.has(next)) level.set(next, depth + 1);
  }
  if (levels.length !== 2 || levels[1].length <= SIDES) return levels;
  return [levels[1].filter((node, place) => place % 2), levels[0], levels[1].filter((node, place) => place % 2 === 0)];
}

// Each its row and column; who had one in this level keeps it, and who left leaves a hole for the next who comes.
function seat(nodes, root, level, memory) {
  const before = node => {
    const known = memory.nodes.get(node.id);
    return known && known.root === root.id && known.level === level ? known : null;
  };
  const known = nodes.map(before).find(Boolean), taken = new Set(), left = [];
  const columns = known ? known.columns : nodes.length > ROWS ? 2 : 1;
  for (const node of nodes) {
    const seat = before(node)?.seat;
    if (seat === undefined || taken.has(seat)) left.push(node);
    else { node.seat = seat; taken.add(seat); }
  }
  let free = 0;
  for (const node of left) {
    while (taken.has(free)) free++;
    taken.add(free);
    node.seat = free;
  }
  for (const node of nodes) memory.nodes.set(node.id, { root: root.id, level, columns, seat: node.seat });
  return { nodes, columns, rows: Math.ceil((Math.max(-1, ...taken) + 1) / columns) };
}

// Even bands go to the right, odd ones back to the left.
function placeLevels(levels, bands, pitch) {
  let y = 0, wide = 0;
  for (const band of bands) band.width = band.levels.reduce((sum, level) => sum + level.width + BETWEEN, -BETWEEN);
  wide = Math.max(...bands.map(band => band.width));
  bands.forEach((band, number) => {
    const height = Math.max(...band.levels.map(level => level.height)), back = number % 2 === 1;
    let x = back ? wide : 0;
    for (const level of band.levels) {
      if (back) x -= level.width;
      const column = (level.width - BESIDE * (level.columns - 1)) / level.columns;
      for (const node of level.nodes) {
        const row = Math.floor(node.seat / level.columns), side = node.seat % level.columns;
        node.band = number;
        node.left = x;
        node.right = x + level.width;
        node.w = level.columns > 1 ? column : node.want;
        node.h = pitch - PITCH + LINE;
        node.x = x + (level.columns > 1 ? side * (column + BESIDE) : back ? level.width - node.w : 0);
        node.y = y + (height - level.height) / 2 + row * pitch + (side % 2) * pitch / 2;
      }
      x += back ? -BETWEEN : level.width + BETWEEN;
    }
    y += height + BAND_GAP;
  });
  return { w: wide, h: y - BAND_GAP };
}

function arrangeIsland(island, memory) {
  const root = rootOf(island, memory), pitch = island.bad ? BAD_PITCH : PITCH, bands = [{ levels: [], width: 0 }];
  const levels = levelsOf(root).map((nodes, number) => seat(nodes, root, number, memory));
  levels.forEach((level, number) => {
    for (const node of level.nodes) { node.want = nodeWidth(node); node.level = number; }
    const column = Math.max(...level.nodes.map(node => node.want));
    level.width = column * level.columns + BESIDE * (level.columns - 1);
    level.height = level.rows * pitch + (level.columns > 1 ? pitch / 2 : 0) - (PITCH - LINE);
    let band = bands[bands.length - 1];
    if (band.levels.length && band.width + level.width > BAND_WIDTH) bands.push(band = { levels: [], width: 0 });
    band.levels.push(level);
    band.width += level.width + BETWEEN;
  });
  const size = placeLevels(levels, bands, pitch);
  const arcs = way => island.edges.some(edge => arcSide(edge.from, edge.to) === way) ? ARC : 0;
  const left = arcs(-1), head = island.alike > 1 ? 18 : 0;
  for (const node of island.nodes) { node.x += left; node.left += left; node.right += left; node.y += head; }
  island.w = size.w + left + arcs(1);
  island.h = size.h + head;
}

// An edge between two that stand above each other leaves and comes at the same side: 1 right, -1 left, 0 no such edge.
function arcSide(a, b) {
  if (a.band !== b.band) return Math.min(a.band, b.band) % 2 ? -1 : 1;
  return a.level === b.level ? 1 : 0;
}

// ---- All islands ------------------------------------------------------------------------------------------------

// The lowest place from the left where it fits into a width, on the line of what is there already, with little room
// lost below.
function skyline(islands, wide) {
  let line = [{ x: 0, y: 0, w: wide }], bottom = 0, right = 0;
  for (const island of islands) {
    const w = island.w + ISLAND_GAP, h = Math.ceil((island.h + ISLAND_GAP) / ROW) * ROW;
    let best = null;
    line.forEach((piece, place) => {
      if (place && piece.x + w > wide + ISLAND_GAP) return;
      const under = line.slice(place).filter(other => other.x < piece.x + w);
      const y = Math.max(...under.map(other => other.y));
      const lost = under.reduce((sum, other) => sum + (y - other.y) * Math.min(other.w, piece.x + w - other.x), 0);
      if (!best || y + lost / w < best.cost) best = { x: piece.x, y, cost: y + lost / w };
    });
    island.x = best.x;
    island.y = best.y;
    const end = best.x + w, next = [];
    for (const piece of line) {
      if (piece.x < best.x) next.push({ ...piece, w: Math.min(piece.w, best.x - piece.x) });
      const start = Math.max(piece.x, end);
      if (piece.x + piece.w > end) next.push({ x: start, y: piece.y, w: piece.x + piece.w - start });
    }
    next.push({ x: best.x, y: best.y + h, w });
    line = next.sort((a, b) => a.x - b.x);
    bottom = Math.max(bottom, best.y + island.h);
    right = Math.max(right, best.x + island.w);
  }
  return { w: right, h: bottom };
}

function boundsOf(islands) {
  const bounds = { x: 0, y: 0, w: 0, h: 0 };
  if (!islands.length) return bounds;
  bounds.x = Math.min(...islands.map(island => island.x));
  bounds.y = Math.min(...islands.map(island => island.y));
  bounds.w = Math.max(...islands.map(island => island.x + island.w)) - bounds.x;
  bounds.h = Math.max(...islands.map(island => island.y + island.h)) - bounds.y;
  return bounds;
}

// In the width that lets the whole be shown largest.
function packAll(islands, room) {
  islands.sort((a, b) => b.bad - a.bad || b.h - a.h || order(a.nodes[0], b.nodes[0]));
  const area = islands.reduce((sum, i) => sum + (i.w + ISLAND_GAP) * (i.h + ISLAND_GAP), 0);
  const widest = Math.max(...islands.map(island => island.w)), square = Math.sqrt(area * room.width / room.height);
  let best = null;
  for (const factor of [0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.5]) {
    const wide = Math.max(widest, square * factor), size = skyline(islands, wide);
    const scale = Math.min(room.width / size.w, room.height / size.h);
    if (!best || scale > best.scale) best = { wide, scale };
  }
  skyline(islands, best.wide);
}

const apart = (a, b) => a.x + a.w + ISLAND_GAP <= b.x || b.x + b.w + ISLAND_GAP <= a.x ||
  a.y + a.h + ISLAND_GAP <= b.y || b.y + b.h + ISLAND_GAP <= a.y;

// The free place next to where it was, or next to the top left.
function findPlace(island, others, from) {
  const places = [from, { x: 0, y: 0 }];
  for (const o of others) {
    places.push({ x: o.x + o.w + ISLAND_GAP, y: o.y }, { x: o.x, y: o.y + o.h + ISLAND_GAP });
    places.push({ x: 0, y: o.y + o.h + ISLAND_GAP });
  }
  const bounds = boundsOf(others), wide = Math.max(bounds.x + bounds.w, island.w);
  const far = place => Math.hypot(place.x - from.x, place.y - from.y);
  places.sort((a, b) => far(a) - far(b));
  return places.find(place => place.x >= 0 && place.y >= 0 && place.x + island.w <= wide + 1 &&
    others.every(other => apart({ ...place, w: island.w, h: island.h }, other))) ||
    { x: 0, y: bounds.y + bounds.h + ISLAND_GAP };
}

// Islands that were there before keep their place, unless they have grown into another one.
function placeAmong(islands, memory) {
  const placed = [], taken = new Set(), homes = new Map(), grew = island => {
    const home = homes.get(island);
    return !home ? 2 : island.w > home.w || island.h > home.h ? 1 : 0;
  };
  for (const island of [...islands].sort((a, b) => b.nodes.length - a.nodes.length)) {
    const home = island.nodes.map(node => memory.homes.get(node.id)).find(home => home && !taken.has(home));
    if (!home) continue;
    taken.add(home);
    homes.set(island, home);
  }
  for (const island of [...islands].sort((a, b) => grew(a) - grew(b) || b.bad - a.bad || b.h - a.h)) {
    const home = homes.get(island) || { x: 0, y: 0 };
    Object.assign(island, { x: home.x, y: home.y });
    if (!placed.every(other => apart(island, other))) Object.assign(island, findPlace(island, placed, home));
    placed.push(island);
  }
}

function layOut(islands, memory, room) {
  const known = new Set(islands.flatMap(island => island.nodes.map(node => node.id)));
  for (const id of memory.nodes.keys()) if (!known.has(id)) memory.nodes.delete(id);
  for (const island of islands) arrangeIsland(island, memory);
  if (!islands.length) return boundsOf(islands);
  if (memory.homes.size) placeAmong(islands, memory); else packAll(islands, room);
  memory.homes.clear();
  for (const island of islands) {
    const home = { x: island.x, y: island.y, w: island.w, h: island.h };
    for (const node of island.nodes) {
      memory.homes.set(node.id, home);
      for (const way of ["x", "left", "right"]) node[way] += island.x;
      node.y += island.y;
    }
  }
  return boundsOf(islands);
}
