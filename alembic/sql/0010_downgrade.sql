drop table __schema__._private_sqla_upkeep, __schema__._private_sqla_removed;
