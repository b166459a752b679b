"""Holds the READMEs of the formats for PyTorch, which show how to load them."""

from simsiam_tf.networks.resnet import ResNet

_IMAGES = "Images are RGB, from 0 to 1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)."

SAFETENSORS = f"""# Weights under torchvision's names

    from safetensors.torch import load_file
    network = torchvision.models.{{arch}}(){{fit}}
    network.load_state_dict(load_file("model.safetensors"), strict=False)  # all but fc
    network.fc = torch.nn.Identity()

{_IMAGES}
"""
TORCH = f"""# Weights under torchvision's names

    network = torchvision.models.{{arch}}(){{fit}}
    network.load_state_dict(torch.load("network.pth", weights_only=True), strict=False)  # all but fc
    network.fc = torch.nn.Identity()

{_IMAGES}
"""
RELEASE = f"""# A whole SimSiam, as the authors' programs name its weights

    python main_lincls.py -a {{arch}} --pretrained checkpoint.pth.tar --lars IMAGENET  # at width 1, for large images

Backbone, projector (`module.encoder.fc`) and predictor (`module.predictor`) are in the entry `state_dict`.
{_IMAGES}
"""
TIMM = """# A folder of timm, and a repository of the Hub as it stands

    network = timm.create_model("local-dir:FOLDER", pretrained=True)
    preprocess = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    features = network(preprocess(photo)[None])

With num_classes=10 it is a classifier to be trained, with features_only=True it gives the maps of each stage.
KerasHub opens it too: keras_hub.models.ResNetBackbone.from_preset("FOLDER").
"""
DETECTRON2 = """# Weights for detectron2, such as R50-C4 for {arch} = resnet50

    MODEL.WEIGHTS network.pkl MODEL.RESNETS.STRIDE_IN_1X1 False INPUT.FORMAT RGB
    MODEL.PIXEL_MEAN [123.675,116.28,103.53] MODEL.PIXEL_STD [58.395,57.12,57.375]

MoCo's folder `detection` has the configurations that papers compare with. They add a batch norm after res5.
"""


def changes(backbone: ResNet) -> str:
    """Returns the lines that make torchvision's network the one of a file; empty if it is that already."""
    said = ""
    if backbone.width != 1:
        said = f"  # of {backbone.width:g} times the channels, which torchvision does not have"
    if backbone.cifar_stem:
        channels = backbone.stem_conv.filters
        said += f"\n    network.conv1 = torch.nn.Conv2d(3, {channels}, 3, padding=1, bias=False)"
        said += "\n    network.maxpool = torch.nn.Identity()"
    return said
