/**
 * @file What a row of a table is in an argument, and the colour it has in every picture. The colours are Okabe and Ito's
 * (jfly.uni-koeln.de/color, 2008), which people with any kind of colour vision tell apart.
 */

/** A method under study; a control that lacks what is claimed; an oracle that is told what no method knows; where one starts from. */
export type Role = "method" | "control" | "oracle" | "baseline";

/** The one table of colours, with what the legend says. */
export const roleStyles: Readonly<Record<Role, { readonly colour: string; readonly meaning: string }>> = {
  method: { colour: "#0072b2", meaning: "method" },
  control: { colour: "#d55e00", meaning: "control" },
  oracle: { colour: "#009e73", meaning: "oracle or upper bound" },
  baseline: { colour: "#4a4a4a", meaning: "baseline" },
};

/** Shades for several lines of methods in one picture, the role's colour first; lines also carry their names. */
export const methodShades = ["#0072b2", "#0b2f52", "#3391c9", "#7a4a94", "#8a6d00"] as const;

/** First that fits; rows without a match are methods. */
const patterns: readonly (readonly [role: Role, pattern: RegExp])[] = [
  ["baseline", /^(base|nothing|untrained|reference|merge|no padding)$/],
  ["baseline", /nothing learned$|^the reference\b/],
  ["control", /^(raw|rule|control)\b/],
  ["control", /, learned by (untrained|round \d+)$/],
  ["oracle", /\boracle\b|^all[ -]facts\b|^stronger writer\b|^(joint|in-context)$/],
];

/** Role of a row by its name, for tables that do not say it. */
export const roleOf = (name: string): Role => patterns.find(([, pattern]) => pattern.test(name))?.[0] ?? "method";
