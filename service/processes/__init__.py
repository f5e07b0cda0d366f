"""The processes of one service on one machine: started, watched, ended, asked for their health."""
