/** @file Words of messages. */

/** `1 token`, `12 tokens`; plurals that are not made with an s are given. */
export const countOf = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count} ${count === 1 ? noun : plural}`;
