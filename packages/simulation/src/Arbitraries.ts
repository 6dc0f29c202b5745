/**
 * Small arbitraries that fault search draws scenarios from.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

/** One of some values, all alike; name one twice to have it twice as often. It shrinks towards the first. */
export const pick = <const Values extends ReadonlyArray<unknown>>(
  ...values: Values
): Arbitrary.Arbitrary<Values[number]> => Arbitrary.map(integer(0, values.length - 1), (index) => values[index])

/** Up to so many values, a literal for each is drawn from. */
const FEW = 64

/** A whole number of these, bounds included: all alike when they are few, and those near the bounds more often else. */
export const integer = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  maximum - minimum < FEW
    ? Arbitrary.schema(Schema.Literals(Array.from({ length: maximum - minimum + 1 }, (_, index) => minimum + index)))
    : Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** What one of some arbitraries draws. */
export const oneOf = <A>(...arbitraries: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(integer(0, arbitraries.length - 1), (index) => arbitraries[index]!)
