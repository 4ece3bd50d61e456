-- inbox_lock (PostgreSQL, where an inbox is): nobody puts a row in, nor takes one, until the end of the transaction.
lock table taskyard.inbox in access exclusive mode
