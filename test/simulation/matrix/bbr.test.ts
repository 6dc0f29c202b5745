import { suite } from "./suite.ts"

suite("bbr")
