import { suite } from "./suite.ts"

suite("cubic")
