/** @file The legend: which colour is what, where a picture has more than one role. */
import { type Role, roleStyles } from "./roles.ts";
import { ink, margin, type Picture, rectElement } from "./svg.ts";
import { measureText } from "./text.ts";

const size = 12;

/** Draws the legend of these roles at `y` and returns where what follows may begin; nothing for a single role. */
export function drawLegend(picture: Picture, y: number, roles: Iterable<Role>): number {
  const present = new Set(roles);
  const shown = (Object.keys(roleStyles) as Role[]).filter((role) => present.has(role));
  if (shown.length < 2) return y;
  let x = margin;
  for (const role of shown) {
    const { colour, meaning } = roleStyles[role];
    picture.add(rectElement({ x, y: y - 10, width: 12, height: 12 }, `rx="2" fill="${colour}"`));
    picture.text(x + 18, y, meaning, { size, colour: ink.faint });
    x += 18 + measureText(meaning, size) + 22;
  }
  return y + 22;
}
