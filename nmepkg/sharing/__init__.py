"""Results that leave a machine, arrive on another, and are compared there: archives, and two stores side by side."""
