// What the clients' files and the scenario must call the same.
export const EXISTS = 'TOPIC_ALREADY_EXISTS'
export const UNKNOWN = 'UNKNOWN_TOPIC_OR_PARTITION'
// As long as anything may take, in milliseconds.
export const PATIENCE = 30_000

// The records that a member has been given and nobody has asked for.
export class Inbox {
  #records = []
  #wake = () => {}
  #error

  put(record) {
    this.#records.push(record)
    this.#wake()
  }

  fail(error) {
    this.#error = error
    this.#wake()
  }

  // Up to count records, fewer when the time is over.
  async take(count, ms) {
    const end = Date.now() + ms
    while (this.#records.length < count && !this.#error && Date.now() < end) {
      await new Promise(resolve => {
        const timer = setTimeout(resolve, end - Date.now())
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    if (this.#error) throw this.#error
    return this.#records.splice(0, count)
  }
}
