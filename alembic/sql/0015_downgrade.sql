drop table __schema__._private_sqla_holds;
