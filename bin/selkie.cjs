#!/usr/bin/env node
// What an install names `selkie`. Written in the JavaScript of 2015, so that an old Node gets as far as the message
// instead of failing on something newer in the middle of the work. The same check, for programs: src/util/require-node.ts.
"use strict";

const required = 24;
const emitWarning = process.emitWarning;

if (parseInt(process.versions.node, 10) < required) {
  const cure = `install it from nodejs.org, or run: npx -p node@${required} -p selkie selkie …`;
  process.stderr.write(`selkie: expected Node ${required} or newer, got v${process.versions.node}; ${cure}\n`);
  process.exitCode = 2;
} else {
  // Node announces SQLite as experimental wherever it is loaded; that is nothing for the reader of an answer
  process.emitWarning = (...args) => {
    if (args[1] !== "ExperimentalWarning") emitWarning.apply(process, args);
  };
  import("../dist/cli/main.js").catch((error) => {
    process.stderr.write(`selkie: could not start: ${error.stack || error}\n`);
    process.exitCode = 1;
  });
}
