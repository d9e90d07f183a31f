/** @file Labels beside each other without overlap. */

/** A label: where its middle would like to be, and how much room it takes. */
export interface Wish {
  readonly at: number;
  readonly height: number;
}

/**
 * Middles of labels as near to their wishes as they can be without overlap, in the same order as the wishes: neighbours
 * that collide form a block around their mean wish (pool adjacent violators). All stay within `[top, bottom]` where there
 * is room for all; else they start at `top`.
 */
export function spreadLabels(wishes: readonly Wish[], top: number, bottom: number): number[] {
  const order = wishes.map((_, index) => index).toSorted((a, b) => wishes[a]!.at - wishes[b]!.at);
  const blocks: { readonly members: number[]; height: number; sum: number }[] = [];
  const startOf = ({ members, height, sum }: (typeof blocks)[number]) =>
    Math.max(top, Math.min(sum / members.length, bottom - height));
  for (const index of order) {
    const { at, height } = wishes[index]!;
    let block = { members: [index], height, sum: at - height / 2 };
    let last = blocks.at(-1);
    while (last !== undefined && startOf(last) + last.height > startOf(block)) {
      blocks.pop();
      const shifted = block.sum - block.members.length * last.height; // wishes for the start of the joined block
      block = {
        members: [...last.members, ...block.members],
        height: last.height + block.height,
        sum: last.sum + shifted,
      };
      last = blocks.at(-1);
    }
    blocks.push(block);
  }
  const middles = new Array<number>(wishes.length);
  for (const block of blocks) {
    let y = startOf(block);
    for (const index of block.members) {
      middles[index] = y + wishes[index]!.height / 2;
      y += wishes[index]!.height;
    }
  }
  return middles;
}
