/** @file Places that the options of verbs name; from `util`, so that help loads nothing else. */
export { commandName, defaultStore, packagePath, packageVersion, shippedModelDirectory } from "../util/index.ts";
