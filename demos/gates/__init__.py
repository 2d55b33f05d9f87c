"""Inside the LSTM: tasks worth looking at, and a network whose every gate can be seen."""
