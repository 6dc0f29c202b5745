import { suite } from "./suite.ts"

suite("reno")
