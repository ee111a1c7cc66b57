"""The agent that looks at a drawn picture, says what is not as asked, and has it drawn again."""
