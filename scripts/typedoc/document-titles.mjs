// Documents are named by their first heading, not by their file.

/** Called by TypeDoc with its application. */
export function load(app) {
  app.converter.on('resolveBegin', ({ project }) => {
    for (const document of project.documents ?? []) {
      const text = document.content.map((part) => part.text).join('')
      const heading = /^# (.+)\n/.exec(text)
      if (heading !== null) document.name = heading[1].replaceAll('`', '')
    }
  })
}
