/**
 * @file Reads the annotated tree of the README: the first ```text block after the heading "The tree". Two spaces of
 * indentation lead one folder down; a path and its clause are at least two spaces apart.
 */

/** One line of the tree. */
export interface TreeEntry {
  /** From the root of the repository; folders end in a slash. */
  readonly path: string;
  readonly clause: string;
}

/** The entries of the tree, in order. */
export function readTree(readme: string): TreeEntry[] {
  const block = /^## The tree$[\s\S]*?^```text\n([\s\S]*?)^```$/m.exec(readme)?.[1] ?? "";
  const folders: string[] = [];
  return block
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [, indent = "", name = "", clause = ""] = /^( *)(\S+)(?: {2,}(.*))?$/.exec(line) ?? [];
      const depth = indent.length / 2;
      folders.length = depth;
      folders.push(name);
      return { path: folders.join(""), clause };
    });
}
