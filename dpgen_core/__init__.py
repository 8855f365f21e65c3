"""Reference companion to differentially private image generation with error-feedback SGD.

Data flows one way: config -> data -> shards -> training -> record -> metrics -> figures. Start at
`dpgen_core.config.make_config` and `dpgen_core.experiment.run_experiment`.
"""

__version__ = "0.1.0"
