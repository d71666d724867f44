"""What the models share: the contract, the frame, the prompts, the weights, and parts of networks."""
