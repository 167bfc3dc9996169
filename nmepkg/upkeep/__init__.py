"""What is in a store and what is missing there: looking, explaining, tidying up."""
