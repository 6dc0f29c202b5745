/**
 * Describes each namespace (`export * as Tap from "./Tap.ts"`) by the comment at the head of its file, which TypeDoc reads for entry
 * points alone.
 */
import { Comment, Converter, ReflectionKind } from "typedoc"

const headOf = (text) => /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1].replaceAll(/^[ \t]*\*? ?/gm, "").trim()

export const load = (application) => {
  application.converter.on(Converter.EVENT_CREATE_DECLARATION, (context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Namespace) || reflection.comment !== undefined) return
    const [file] = context.getSymbolFromReflection(reflection)?.declarations ?? []
    const head = headOf(file?.getSourceFile().text ?? "")
    if (head !== undefined) reflection.comment = new Comment([{ kind: "text", text: head }])
  })
}
