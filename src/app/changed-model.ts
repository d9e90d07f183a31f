/** @file What is said where a model is not the one that was expected. */

/** What to do where a model may be the one that was expected, changed. */
export const changedModelHint = "if that model was changed in place, selkie registry verify names the file";
