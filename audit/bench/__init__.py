"""The measure of detection: labelled texts in, recall, leaks, lost words and time of each detector out, the rival's beside ours."""
