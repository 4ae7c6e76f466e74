"""C4.5 decision trees that behave as Weka's J48."""
