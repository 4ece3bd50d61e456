delete from outcome
where task = ?1
