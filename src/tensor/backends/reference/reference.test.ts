import { describeKernelContract } from "../../kernel-contract.ts";
import { createReferenceBackend } from "./index.ts";

describeKernelContract("the reference backend", createReferenceBackend);
