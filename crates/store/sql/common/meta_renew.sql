-- A database that was put back as it once was: from here on it is another one.
update meta
set incarnation = $1
