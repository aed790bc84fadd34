// Documents are named by their first heading, not by their file.

/** Called by TypeDoc with its application. */
export function load(app) {
  app.converter.on('resolveBegin', ({ project }) => {
    for (const document of project.documents ?? []) {
      const [first] = document.content
      const heading = /^# (.+)\n/.exec(first?.text ?? '')
      if (heading !== null) document.name = heading[1]
    }
  })
}
